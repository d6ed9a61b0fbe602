import { ask, expect, lastTurn, people, signIn, test } from './fixtures'

test.beforeEach(async ({ page }) => signIn(page, people.admin))

test('the copy of the data is verified and refreshed', async ({ page }) => {
  await page.goto('/admin/target')
  await page.getByRole('button', { name: 'Verify' }).click()
  await expect(page.getByText('The copy is what was recorded. The original: unchanged.')).toBeVisible()
  await page.getByRole('button', { name: 'Refresh' }).click()
  await expect(page.getByText('The copy in service is up to date.')).toBeVisible()
})

test('a backup is made and verified', async ({ page }) => {
  await page.goto('/admin/backups')
  await page.getByRole('button', { name: 'Back up now' }).click()
  await expect(page.getByText(/^Made assay-/)).toBeVisible()
  await page.getByRole('button', { name: /^Verify assay-/ }).first().click()
  await expect(page.getByText(/was restored and fits/)).toBeVisible()
})

test('work in the background is started and seen to be done', async ({ page }) => {
  await page.goto('/admin/jobs')
  await page.getByLabel('Work to do').selectOption('purge')
  await page.getByRole('button', { name: 'Start' }).click()
  const job = page.getByRole('listitem').filter({ hasText: 'Remove expired sessions' }).first()
  await expect(job.getByText('Done')).toBeVisible()
})

test('a setting is made, kept secret and taken back', async ({ page }) => {
  await page.goto('/admin/configuration')
  const form = page.getByRole('dialog')
  const save = async (value: string, isSecret: boolean) => {
    await form.getByLabel('Value', { exact: true }).fill(value)
    await form.getByLabel(/^Secret/).setChecked(isSecret)
    await form.getByRole('button', { name: 'Save' }).click()
    await expect(form).toBeHidden()
  }
  await page.getByRole('button', { name: 'New setting' }).click()
  await form.getByLabel('Name').fill('report_footer')
  await save('For internal use', false)
  const setting = page.getByRole('listitem').filter({ hasText: 'report_footer' })
  await expect(setting).toContainText('For internal use')
  await page.getByRole('button', { name: 'Edit report_footer' }).click()
  await save('Between us', true)
  await expect(setting).toContainText('secret')
  await expect(page.getByText('Between us')).toHaveCount(0)
  await page.getByRole('button', { name: 'Delete report_footer' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await expect(setting).toHaveCount(0)
})

test('a column is hidden and shown again', async ({ page }) => {
  await page.goto('/admin/policies')
  await page.getByLabel('Table').fill('employees')
  await page.getByLabel('Column').fill('monthly_salary')
  await page.getByRole('button', { name: 'Hide' }).click()
  const policy = page.getByRole('listitem').filter({ hasText: 'employees.monthly_salary' })
  await expect(policy).toContainText('hidden from Viewer and below')
  await policy.getByRole('button').click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await expect(policy).toHaveCount(0)
})

test('a policy on what is not there is refused with a reason', async ({ page }) => {
  await page.goto('/admin/policies')
  await page.getByLabel('Table').fill('no_such_table')
  await page.getByRole('button', { name: 'Hide' }).click()
  await expect(page.getByRole('alert')).toContainText('no_such_table')
})

test('every part of the server says how it is', async ({ page }) => {
  await page.goto('/admin/health')
  await expect(page.getByText('Ready', { exact: true })).toBeVisible()
  await expect(page.getByRole('listitem').filter({ hasText: 'Business data' })).toContainText('Up')
})

test('a conversation is renamed and deleted', async ({ page }) => {
  await ask(page, `How many customers do we have? ${Date.now()}`)
  await expect(lastTurn(page).getByText('872').first()).toBeVisible()
  const name = `Customers, counted ${Date.now()}`
  const here = page.getByRole('navigation', { name: 'Conversations' })
  await here.locator('li.here').getByRole('button').click()
  await page.getByRole('dialog').getByLabel('Name').fill(name)
  await page.getByRole('dialog').getByRole('button', { name: 'Rename' }).click()
  await expect(here.getByRole('link', { name })).toBeVisible()
  await here.getByRole('button', { name: `Rename or delete “${name}”` }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete the conversation' }).click()
  await expect(here.getByRole('link', { name })).toHaveCount(0)
  await expect(page.getByRole('heading', { name: 'What would you like to know?' })).toBeVisible()
})

test('a question goes on while another page is looked at', async ({ page }) => {
  await ask(page, `Please take a moment and count the orders, ${Date.now()}`)
  await expect(page).toHaveURL(/\/conversations\/\d+$/)
  await page.getByRole('link', { name: 'Data', exact: true }).click()
  await expect(page.getByRole('heading', { name: 'Data', exact: true })).toBeVisible()
  await page.goBack()
  await expect(lastTurn(page).getByText('12,000').first()).toBeVisible()
})

test('a table is found in the schema and followed to what it points at', async ({ page }) => {
  await page.getByRole('link', { name: 'Data', exact: true }).click()
  await page.getByLabel('Find a table or column').fill('refund')
  await page.getByRole('navigation', { name: 'Tables' }).getByRole('link').click()
  await expect(page.getByRole('heading', { name: 'returns' })).toBeVisible()
  await page.getByRole('link', { name: 'order_lines.order_line_id' }).click()
  await expect(page.getByRole('heading', { name: 'order_lines' })).toBeVisible()
  await expect(page.getByRole('row', { name: /^quantity / })).toContainText('INTEGER')
  // What the comment beside its declaration says.
  await expect(page.getByRole('row', { name: /^discount / })).toContainText('0.05 is five per cent off')
})

test('signing out leads to sign in, and the session is over', async ({ page }) => {
  await page.goto('/account')
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  await page.goto('/history')
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
})
