// Every dialog in light, dark and on a phone, and the menu of a phone: as `look` says.

import type { Page } from '@playwright/test'
import { ask, expect, lastTurn, people, signIn, test } from './fixtures'
import { look, looks } from './look'

const at = '2026-01-01T00:00:00Z'
// What other tests would meet, or what takes two people, is played: of a dialog only how it looks is asked here.
const listings: Record<string, unknown[]> = {
  policies: [{ id: 1, role: 'viewer', table_name: 'employees', column_name: 'monthly_salary', created_at: at }],
  invitations: [{ id: 1, email: 'guest@example.com', role: 'viewer', created_at: at, expires_at: '2999-01-01T00:00:00Z' }],
  configurations: [{ key: 'report_footer', value: 'For internal use', is_secret: false, is_set: true, updated_at: at }],
  'api-keys': [{ id: 1, name: 'a report', scope: 'viewer', created_at: at }],
  ontology: [{ id: 1, term_name: 'lost customer', description: 'Without an order for a year', synonyms: ['churned'], data_source: 'orders', owner: 'Sales' }],
  'verified-queries': [{ id: 1, question: 'How many?', sql: 'SELECT count(*) FROM customers', status: 'proposed', proposed_by: 0, updated_at: at }],
}

/** Where a dialog is, the button that opens it, and what stands above it. */
const dialogs: [name: string, path: string, button: string | RegExp, title: string | RegExp][] = [
  ['user', '/admin/users', 'New user', 'New user'],
  ['user-edit', '/admin/users', `Edit ${people.viewer.email}`, people.viewer.email],
  ['invitation-withdraw', '/admin/invitations', /^Withdraw the invitation/, /^Withdraw the invitation/],
  ['policy-delete', '/admin/policies', 'Show employees.monthly_salary again', 'Show employees.monthly_salary again'],
  ['target-restore', '/admin/target', 'Restore', 'Restore'],
  ['setting', '/admin/configuration', 'New setting', 'New setting'],
  ['setting-edit', '/admin/configuration', 'Edit report_footer', 'Edit report_footer'],
  ['setting-delete', '/admin/configuration', 'Delete report_footer', 'Delete report_footer'],
  ['term', '/terms', 'New term', 'New term'],
  ['term-edit', '/terms', 'Edit “lost customer”', 'Edit “lost customer”'],
  ['term-delete', '/terms', 'Delete “lost customer”', 'Delete “lost customer”'],
  ['terms-import', '/terms', 'Import', 'Import'],
  ['verified', '/verified-queries', 'Propose a verified query', 'Propose a verified query'],
  ['verified-approve', '/verified-queries', 'Approve “How many?”', 'Approve'],
  ['verified-reject', '/verified-queries', 'Reject “How many?”', 'Reject'],
  ['verified-remove', '/verified-queries', 'Remove “How many?”', 'Remove “How many?”'],
  ['key', '/account', 'New key', 'New key'],
  ['key-revoke', '/account', 'Revoke “a report”', 'Revoke “a report”'],
  ['sign-out-everywhere', '/account', 'Sign out everywhere', 'Sign out everywhere'],
]

async function opened(page: Page, title: string | RegExp) {
  await expect(page.getByRole('dialog', { name: title, exact: true })).toBeVisible()
}

for (const { name, colorScheme, viewport } of looks) {
  test.describe(name, () => {
    test.use({ colorScheme, viewport })
    test.setTimeout(180_000)

    test('dialogs', async ({ page }) => {
      await signIn(page, people.admin)
      for (const [listing, items] of Object.entries(listings)) {
        await page.route(new RegExp(`/api/v1/${listing}(\\?|$)`), (route) => route.fulfill({ json: { items } }))
      }
      for (const [of, path, button, title] of dialogs) {
        await page.goto(path)
        await page.getByRole('main').getByRole('button', { name: button, exact: true }).first().click()
        await opened(page, title)
        await look(page, `dialog-${of}`, name)
      }
    })

    test('dialogs of what was done', async ({ page }) => {
      await signIn(page, people.admin)
      await page.goto('/account')
      const made = { json: { key: `assay_${'x'.repeat(43)}` } }
      await page.route('**/api/v1/api-keys', (route) => (route.request().method() === 'POST' ? route.fulfill(made) : route.continue()))
      await page.getByRole('button', { name: 'New key' }).click()
      await page.getByLabel('What it is for').fill('a report')
      await page.getByRole('dialog').getByRole('button', { name: 'New key' }).click()
      await expect(page.getByText('Copy the key now.')).toBeVisible()
      await look(page, 'dialog-key-made', name)

      await page.goto('/admin/backups')
      await page.route('**/api/v1/backups', (route) => route.abort())
      await page.getByRole('button', { name: 'Back up now' }).click()
      await opened(page, 'That was not done')
      await look(page, 'dialog-not-done', name)
      await page.unroute('**/api/v1/backups')

      await page.goto('/')
      await ask(page, 'Show the departments')
      await lastTurn(page).getByRole('button', { name: 'Propose as verified' }).click()
      await opened(page, 'Propose a verified query')
      await look(page, 'dialog-propose', name)
      await page.route('**/api/v1/verified-queries', (route) => route.fulfill({ json: {} }))
      await page.getByRole('dialog').getByRole('button', { name: 'Propose a verified query' }).click()
      await expect(page.getByText('Proposed. An administrator will review it.')).toBeVisible()
      await look(page, 'dialog-proposed', name)
      await page.keyboard.press('Escape')

      await page.route('**/api/v1/queries/*/result?*', (route) => route.abort())
      await lastTurn(page).getByText('Export', { exact: true }).click()
      await lastTurn(page).getByRole('button', { name: 'CSV' }).click()
      await opened(page, 'The file was not made')
      await look(page, 'dialog-export-failed', name)
      await page.keyboard.press('Escape')

      const menu = page.getByRole('dialog', { name: 'Menu' })
      if (name === 'phone') {
        await page.getByRole('button', { name: 'Open the menu' }).click()
        await expect(menu.getByRole('link', { name: 'Show the departments' }).first()).toBeVisible()
        await look(page, 'menu', name)
      }
      await page.getByRole('button', { name: 'Rename or delete “Show the departments”' }).first().click()
      await opened(page, 'Conversation')
      await look(page, 'dialog-conversation', name)
    })
  })
}
