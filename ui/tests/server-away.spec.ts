import { startAssay, type Running } from './assay'
import { ask, expect, lastTurn, people, signIn, test as shared } from './fixtures'

// These stop the server, so each has one of its own.
const test = shared.extend<{ server: Running }>({
  server: async ({}, use) => {
    const server = await startAssay()
    await use(server)
    await server.close()
  },
  home: async ({ server }, use) => use(server.url),
})

test('a server that is away is said so, and the question can be asked again', async ({ page, server }) => {
  await signIn(page, people.admin)
  await ask(page, 'How many customers do we have?')
  await expect(lastTurn(page).getByText('872').first()).toBeVisible()
  await server.kill()
  await ask(page, 'Show the departments')
  await expect(lastTurn(page).getByRole('alert')).toContainText('Assay cannot be reached.')
  await server.start()
  await lastTurn(page).getByRole('button', { name: 'Try again' }).click()
  await expect(lastTurn(page).getByRole('table')).toContainText('Purchasing')
})

test('a server that is away is not called ready, and ends no session', async ({ page, server, context }) => {
  await signIn(page, people.admin)
  await page.goto('/admin/health')
  await expect(page.getByText('Ready', { exact: true })).toBeVisible()
  await server.kill()
  await expect(page.getByRole('alert')).toContainText('Assay cannot be reached.')
  await expect(page.getByText('Ready', { exact: true })).toHaveCount(0)
  await server.start()
  await page.getByRole('button', { name: 'Try again' }).click()
  await expect(page.getByText('Ready', { exact: true })).toBeVisible()

  const renewal = '**/api/v1/auth/refresh'
  await context.clearCookies({ name: 'assay_session' })
  const busy = { type: '', title: 'The server is busy.', status: 503, detail: '', code: 'system_store_down' }
  await page.route(renewal, (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify(busy) }))
  await page.getByRole('link', { name: 'History', exact: true }).click()
  await expect(page.getByRole('alert')).toContainText('The server is busy.')
  await page.unroute(renewal)
  await page.getByRole('button', { name: 'Try again' }).click()
  await expect(page.getByText('Nothing was asked yet.')).toBeVisible()
  await expect(page).toHaveURL(/\/history$/)
})

test('a server that goes away during a question is waited for, and what became of it is shown', async ({ page, server }) => {
  test.setTimeout(90_000)
  await signIn(page, people.admin)
  await ask(page, 'A slow question about customers')
  await expect(lastTurn(page).getByRole('status')).toHaveText('Writing SQL')
  await server.kill()
  await expect(lastTurn(page).getByRole('status')).toHaveText('Connection lost, reconnecting')
  await server.start()
  // A server that died at once leaves the question pending until its lease has run out.
  await expect(lastTurn(page).getByText(/^This question (was not answered|is still being worked on)/)).toBeVisible({ timeout: 60_000 })
})
