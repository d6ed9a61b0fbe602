// The statement in the workbench that is not done yet: kept over a reload, for as long as the tab.

const key = 'assay.workbench'

export const draft = {
  read: () => sessionStorage.getItem(key) ?? '',
  keep: (sql: string) => sessionStorage.setItem(key, sql),
  forget: () => sessionStorage.removeItem(key),
}
