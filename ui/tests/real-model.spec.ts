// The one test in which the real local model answers: slow, and therefore one.

import { startAssay, admin, type Running } from './assay'
import { ask, expect, lastTurn, signIn, test as shared } from './fixtures'

const test = shared.extend<object, { local: Running }>({
  local: [
    async ({}, use) => {
      const local = await startAssay({ model: 'local' })
      await use(local)
      await local.close()
    },
    { scope: 'worker', timeout: 120_000 },
  ],
  home: async ({ local }, use) => use(local.url),
})

test('the local model writes SQL that can be watched, and the answer has its numbers', async ({ page }) => {
  test.setTimeout(240_000)
  await signIn(page, admin)
  await ask(page, 'How many customers do we have?')
  const turn = lastTurn(page)
  const sql = turn.getByRole('region', { name: 'SQL' })
  // While it writes, a beginning of the statement is there: for half a second, so it is looked for often.
  const written = async () => (await sql.allTextContents()).join()
  await expect.poll(written, { intervals: [30], timeout: 180_000 }).toContain('SELECT')
  await expect(turn.getByText('872').first()).toBeVisible({ timeout: 60_000 })
  await turn.getByText('SQL', { exact: true }).click()
  await expect(sql).toContainText(/FROM\s+customers/i)
  await turn.getByText('Details and evidence').click()
  await expect(turn.getByText(/qwen/i).first()).toBeVisible()

  // A second question has the schema read already. What a model of this size makes of it is measured elsewhere.
  await ask(page, 'How many suppliers do we have?')
  await expect(page.locator('.turns > li')).toHaveCount(2)
  await expect(lastTurn(page).getByText('Fresh answer')).toBeVisible({ timeout: 120_000 })
})
