// Runs before the first paint, so that nobody who chose dark sees a white flash. The choice is made in src/lib/theme.svelte.ts.
;(() => {
  let chosen = null
  try {
    chosen = localStorage.getItem('assay.theme')
  } catch {
    // Storage may be forbidden; then the system's choice holds.
  }
  const isDark = chosen === 'dark' || (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.dataset.theme = isDark ? 'dark' : 'light'
})()
