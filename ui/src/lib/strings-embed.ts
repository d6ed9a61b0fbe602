// Every text of <assay-ask>; apart from those of the pages, which a page with one question need not load.

const count = new Intl.NumberFormat('en')
const moment = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' })

export const embedStrings = {
  label: 'Ask your data', placeholder: 'How many customers do we have?', ask: 'Ask', stop: 'Stop', result: 'Result',
  working: 'Working …', stopped: 'Stopped.',
  states: {
    asking: 'Asking …', understanding: 'Understanding the question …', searching: 'Looking things up …', generating: 'Writing SQL …',
    checking: 'Checking the SQL …', running: 'Running the query …', repairing: 'Putting the SQL right …',
  } as Record<string, string>,
  understoodAs: (question: string) => `Understood as: ${question}`,
  shown: (shown: number, all: number, isCut: boolean) =>
    `${count.format(shown)} of ${isCut ? 'more than ' : ''}${count.format(all)} rows are shown.`,
  from: (tables: string[]) => (tables.length ? `From ${tables.join(', ')}` : 'From no table'),
  asOf: (at: Date) => `data as of ${moment.format(at)}`,
  confidence: (share: number) => `${Math.round(share * 100)} % sure`,
  noRows: (reason: string) => `No row fits: ${reason}.`,
  lost: 'The connection was lost.', lostHint: 'Ask again.',
  unreachable: 'Assay cannot be reached from this page.',
  unreachableHint: 'Look at your network and ask again. If it stays so, tell whoever runs this page: its address may not be one that Assay lets ask.',
  unexpected: (status: number) => `The server gave an answer that was not expected: HTTP status ${status}.`,
}
