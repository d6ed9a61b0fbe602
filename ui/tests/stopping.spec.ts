// A statement that the database would work on for an hour is stopped from the page, and the database is free for the next.

import { startAssay } from './assay'
import { ask, expect, lastTurn, people, signIn, test as shared } from './fixtures'
import { endless } from './scripted-model'

const test = shared.extend({
  home: async ({}, use) => {
    const server = await startAssay({ env: { QUERY_TIMEOUT_SECONDS: '3600' } })
    await use(server.url)
    await server.close()
  },
})

// The server runs eight statements at once at most: had stopping left one running, the next would find none free.
const rounds = 9

test('a long statement in the workbench stops when it is told to, and the database with it', async ({ page }) => {
  await signIn(page, people.admin)
  const last = async () => (await (await page.request.get('/api/v1/queries?limit=1')).json()).items[0]
  await page.goto('/workbench')
  await page.getByLabel('SQL statement').fill(endless)
  for (let round = 0; round < rounds; round++) {
    await page.getByRole('button', { name: 'Run' }).click()
    await expect.poll(async () => (await last())?.status).toBe('pending')
    await page.getByRole('button', { name: 'Stop' }).click()
    await expect(page.getByText('Stopped. There is no result.')).toBeVisible()
    await expect(page.getByRole('button', { name: 'Run' })).toBeFocused()
    await expect.poll(async () => (await last()).error_code).toBe('cancelled')
  }
  // Leaving the page stops it as well.
  await page.getByRole('button', { name: 'Run' }).click()
  await expect.poll(async () => (await last()).status).toBe('pending')
  await page.getByRole('link', { name: 'Data', exact: true }).click()
  await expect.poll(async () => (await last()).error_code).toBe('cancelled')

  await page.goto('/workbench')
  await page.getByLabel('SQL statement').fill('SELECT count(*) FROM customers')
  await page.getByRole('button', { name: 'Run' }).click()
  await expect(page.getByRole('table')).toContainText('872')
})

test('a question stops while the database runs its SQL, and the database with it', async ({ page }) => {
  await signIn(page, people.admin)
  for (let round = 0; round < rounds; round++) {
    await ask(page, `An endless question, ${round}`)
    await expect(lastTurn(page).getByRole('status')).toHaveText('Reading the data')
    await page.getByRole('button', { name: 'Stop' }).click()
    await expect(lastTurn(page).getByRole('article')).toContainText('Stopped. Nothing was answered.')
  }
  const stopped = await (await page.request.get(`/api/v1/queries?status=error&limit=${rounds}`)).json()
  expect(stopped.items.map((query: { error_code: string }) => query.error_code)).toEqual(Array(rounds).fill('cancelled'))
  await ask(page, 'How many customers do we have?')
  await expect(lastTurn(page).getByText('872').first()).toBeVisible()
})
