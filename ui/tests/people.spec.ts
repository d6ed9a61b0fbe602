import { readFile } from 'node:fs/promises'
import { ask, expect, lastTurn, people, signIn, test, type Person } from './fixtures'

test('one person proposes a verified query, another approves it, and it answers', async ({ page, browser }) => {
  const question = `How many customers are on the list? ${test.info().retry}`
  await signIn(page, people.analyst)
  await ask(page, question)
  await lastTurn(page).getByRole('button', { name: 'Propose as verified' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Propose a verified query' }).click()
  await expect(page.getByText('Proposed. An administrator will review it.')).toBeVisible()

  const context = await browser.newContext({ baseURL: test.info().project.use.baseURL ?? process.env.ASSAY_UI_URL })
  const second = await context.newPage()
  await signIn(second, people.reviewer)
  await second.getByRole('link', { name: 'Verified queries' }).click()
  await second.getByRole('button', { name: `Approve “${question}”` }).click()
  await second.getByRole('dialog').getByRole('button', { name: 'Approve' }).click()
  await expect(second.getByRole('dialog')).toBeHidden()
  await second.getByLabel('Status').selectOption('approved')
  await expect(second.getByRole('heading', { name: question })).toBeVisible()
  await context.close()

  await page.keyboard.press('Escape')
  await page.getByRole('link', { name: 'Ask', exact: true }).click()
  await ask(page, question)
  await expect(lastTurn(page).getByText('Verified query', { exact: true })).toBeVisible()
})

test('nothing of one person is left for the next in the same tab', async ({ page }) => {
  const come = async (person: Person) => {
    await page.getByLabel('E-mail').fill(person.email)
    await page.getByLabel('Password').fill(person.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }
  // Without the panel's own look, what it shows is what it had before.
  const list = '**/api/v1/conversations?limit=50'
  const comeAfterwards = async (person: Person) => {
    await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
    await page.route(list, (route) => route.abort())
    await come(person)
    await expect(page.getByRole('heading', { name: 'What would you like to know?' })).toBeVisible()
    await expectNothing()
    await page.unroute(list)
  }
  const expectNothing = async () => {
    await expect(page.getByRole('link', { name: question })).toHaveCount(0)
    await expect(page.getByText('872')).toHaveCount(0)
    await page.getByRole('link', { name: 'SQL workbench' }).click()
    await expect(page.getByLabel('SQL statement')).toHaveValue('')
  }
  const runOut = async () => {
    await page.context().clearCookies()
    await page.getByRole('link', { name: 'History', exact: true }).click()
    await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  }
  const question = `How many customers may I ask for? ${Date.now()}`
  const leaveThings = async () => {
    await page.getByRole('link', { name: 'SQL workbench' }).click()
    await page.getByLabel('SQL statement').fill('SELECT 1 AS my_own')
    await page.getByRole('link', { name: 'Ask', exact: true }).click()
    await ask(page, question)
    await expect(lastTurn(page).getByText('Details and evidence')).toBeVisible()
    await expect(page.getByRole('link', { name: question }).first()).toBeVisible()
  }

  await signIn(page, people.analyst)
  await leaveThings()
  const conversation = new URL(page.url()).pathname
  // Who comes back finds the answer as it was; from the history it would have to be run again.
  await runOut()
  await come(people.analyst)
  await page.getByRole('link', { name: question }).first().click()
  await expect(lastTurn(page).getByText('Details and evidence')).toBeVisible()

  await runOut()
  await comeAfterwards(people.reviewer)
  // In the same document, as the button for going back does it.
  await page.evaluate((path) => (history.pushState(null, '', path), dispatchEvent(new PopStateEvent('popstate'))), conversation)
  await expect(page.getByRole('alert')).toContainText('conversation_not_found')
  await expectNothing()

  await page.getByRole('link', { name: 'Ask', exact: true }).click()
  await leaveThings()
  await page.locator('a[href="/account"]').click()
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  // Signing out leaves nothing behind, whoever comes next.
  await comeAfterwards(people.reviewer)
})

test('nobody reviews an own proposal', async ({ page }) => {
  await signIn(page, people.admin)
  await page.goto('/verified-queries')
  await page.getByRole('button', { name: 'Propose a verified query' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Question').fill('How many suppliers are there?')
  await dialog.getByLabel('SQL').fill('SELECT count(*) FROM suppliers')
  await dialog.getByRole('button', { name: 'Propose a verified query' }).click()
  await expect(dialog.getByText('Proposed.')).toBeVisible()
  await page.keyboard.press('Escape')
  const one = page.getByRole('listitem').filter({ hasText: 'How many suppliers are there?' })
  await expect(one.getByText('Someone else has to review this.').first()).toBeVisible()
  await expect(one.getByRole('button', { name: /^Approve/ })).toHaveCount(0)
})

test('a viewer does not see the administration, and is refused the audit log by address', async ({ page }) => {
  await signIn(page, people.viewer)
  await expect(page.getByRole('link', { name: 'Administration' })).toHaveCount(0)
  await expect(page.getByRole('link', { name: 'SQL workbench' })).toHaveCount(0)
  await page.goto('/admin/audit')
  await expect(page.getByRole('alert').first()).toContainText('role_too_low')
})

test('an administrator creates a user with a role', async ({ page }) => {
  await signIn(page, people.admin)
  await page.goto('/admin/users')
  await page.getByRole('button', { name: 'New user' }).click()
  const dialog = page.getByRole('dialog')
  const email = `new-${Date.now()}@example.com`
  await dialog.getByLabel('E-mail').fill(email)
  await dialog.getByLabel('Name').fill('New Colleague')
  await dialog.getByLabel('Password').fill('a long enough phrase')
  await dialog.getByLabel('Role').selectOption('analyst')
  await dialog.getByRole('button', { name: 'New user' }).click()
  await expect(page.getByText(email)).toBeVisible()
})

test.describe('east of Greenwich', () => {
  test.use({ timezoneId: 'Pacific/Auckland' })

  test('the days of the audit log are those that its entries show', async ({ page }) => {
    await signIn(page, people.admin)
    await page.goto('/admin/audit')
    await page.getByLabel('From', { exact: true }).fill('2026-01-15')
    await page.getByLabel('To', { exact: true }).fill('2026-01-15')
    const asked = page.waitForRequest((request) => request.url().includes('since='))
    await page.getByRole('button', { name: 'Filter' }).click()
    const { searchParams } = new URL((await asked).url())
    expect(searchParams.get('since')).toBe('2026-01-14T11:00:00.000Z')
    expect(searchParams.get('until')).toBe('2026-01-15T10:59:59.999Z')
  })
})

test('an audit entry shows a proof that the browser checks', async ({ page }) => {
  await signIn(page, people.admin)
  await page.goto('/admin/audit')
  await page.getByLabel('Action').fill('backup_created')
  await page.keyboard.press('Enter')
  await expect(page.locator('summary').filter({ hasNotText: 'backup_created' })).toHaveCount(0)
  await page.locator('summary').filter({ hasText: 'backup_created' }).last().click()
  await page.getByRole('button', { name: /Show the proof/ }).click()
  await expect(page.getByText('Checked in this browser: the entry is part of the sealed block.')).toBeVisible()
})

test('the workbench validates, explains and runs', async ({ page }) => {
  await signIn(page, people.analyst)
  await page.goto('/workbench')
  await page.getByLabel('SQL statement').fill('SELECT company_name FROM customers WHERE customer_id = 1')
  await page.getByRole('button', { name: 'Validate' }).click()
  await expect(page.getByText('It reads customers.')).toBeVisible()
  await page.getByRole('button', { name: 'Explain' }).click()
  await expect(page.getByText('by key')).toBeVisible()
  await page.getByRole('button', { name: 'Run' }).click()
  await expect(page.getByRole('table')).toBeVisible()
  await page.getByLabel('SQL statement').fill('DELETE FROM customers')
  await page.getByRole('button', { name: 'Run' }).click()
  await expect(page.getByRole('alert')).toContainText('sql_not_read_only')
})

test('numbers are shown with the digits that they have', async ({ page }) => {
  await signIn(page, people.analyst)
  await page.goto('/workbench')
  const ours = 'FROM customers WHERE customer_id = 1'
  const first = `SELECT 9007199254740993 AS big, -9223372036854775808 AS bigger, 0.00004 AS rate, 1e-7 AS rarer, 2.123456 AS ratio, 0.0 AS zero ${ours}`
  await page.getByLabel('SQL statement').fill(`${first} UNION ALL SELECT 9007199254740992, 1, 1.5, 0.25, 3.5, 1.5 ${ours}`)
  await page.getByRole('button', { name: 'Run' }).click()
  const row = page.getByRole('table').locator('tbody tr')
  await expect(row.first().locator('td')).toHaveText(['9,007,199,254,740,993', '-9,223,372,036,854,775,808', '0.00004', '0.0000001', '2.1235', '0.0'])
  // What is rounded has its value at hand.
  await expect(row.first().getByTitle('2.123456')).toHaveText('2.1235')
  await expect(page.getByRole('table').locator('td[title]')).toHaveCount(1)
  // The two differ by one.
  await page.getByRole('button', { name: 'big', exact: true }).click()
  await expect(row.first()).toContainText('9,007,199,254,740,993')
  await page.getByRole('button', { name: 'big', exact: true }).click()
  await expect(row.first()).toContainText('9,007,199,254,740,992')
})

test('a business term is created, found, changed and deleted', async ({ page }) => {
  const name = `churned customer ${Date.now()}`
  await signIn(page, people.analyst)
  await page.goto('/terms')
  await page.getByRole('button', { name: 'New term' }).click()
  await page.getByLabel('Term', { exact: true }).fill(name)
  await page.getByLabel('Meaning').fill('A customer without an order for a year')
  await page.getByLabel('Synonyms').fill('lost customer, former customer')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByRole('dialog')).toBeHidden()
  // The search waits until typing pauses.
  const searched = page.waitForResponse((response) => response.url().includes('/ontology?search='))
  await page.getByLabel('Search terms').fill(name)
  await searched
  await page.getByRole('button', { name: `Edit “${name}”` }).click()
  await page.getByLabel('Meaning').fill('A customer without an order for two years')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('A customer without an order for two years')).toBeVisible()
  await page.getByRole('button', { name: `Delete “${name}”` }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await expect(page.getByText('No term fits this search.')).toBeVisible()
})

test('business terms leave as a file and come back from one', async ({ page }) => {
  const name = `quiet season ${Date.now()}`
  await signIn(page, people.analyst)
  await page.goto('/terms')
  const bringIn = async (yaml: string) => {
    await page.getByRole('button', { name: 'Import' }).click()
    await page.getByRole('dialog').getByLabel('YAML file').setInputFiles({ name: 'terms.yaml', mimeType: 'application/yaml', buffer: Buffer.from(yaml) })
    await page.getByRole('dialog').getByRole('button', { name: 'Import' }).click()
  }
  const terms = `terms:\n  - term_name: ${name}\n    description: From June to August\n    synonyms: [summer]\n`
  await bringIn(terms)
  await expect(page.getByText(/^1 added, 0 changed/)).toBeVisible()

  const saved = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Export' }).click()
  const download = await saved
  expect(download.suggestedFilename()).toBe('business-terms.yaml')
  const file = await readFile(await download.path(), 'utf8')
  expect(file).toContain(name)

  // Not the whole file: others change their terms meanwhile.
  await bringIn(terms.replace('From June to August', 'From May to August'))
  await expect(page.getByText(/^0 added, 1 changed/)).toBeVisible()
  await expect(page.getByText('From May to August').first()).toBeVisible()
  await bringIn('terms: [unclosed')
  await expect(page.getByRole('dialog').getByRole('alert')).toBeVisible()
})

test('an API key is shown once and revoked', async ({ page }) => {
  await signIn(page, people.viewer)
  await page.goto('/account')
  await page.getByRole('button', { name: 'New key' }).click()
  await page.getByLabel('What it is for').fill('a report')
  await page.getByRole('dialog').getByRole('button', { name: 'New key' }).click()
  await expect(page.getByText(/^assay_/)).toBeVisible()
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'Revoke “a report”' }).first().click()
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
  await expect(page.getByText('Revoked').first()).toBeVisible()
})
