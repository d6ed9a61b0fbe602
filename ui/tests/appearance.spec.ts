// Every page in light, dark and on a phone: no serious accessibility violation, nothing that scrolls sideways, a picture to look at.

import { ask, expect, lastTurn, people, signIn, test } from './fixtures'
import { look, looks, phone } from './look'

const pages: Record<string, string> = {
  history: '/history?everyone=true',
  schema: '/schema',
  'schema-table': '/schema/orders',
  terms: '/terms',
  'verified-queries': '/verified-queries',
  workbench: '/workbench?sql=SELECT%20company_name%2C%20city%0AFROM%20customers%0AWHERE%20country%20%3D%20%27Germany%27%0AORDER%20BY%201',
  account: '/account',
  users: '/admin/users',
  invitations: '/admin/invitations',
  policies: '/admin/policies',
  audit: '/admin/audit',
  target: '/admin/target',
  index: '/admin/index',
  backups: '/admin/backups',
  jobs: '/admin/jobs',
  configuration: '/admin/configuration',
  health: '/admin/health',
  missing: '/nowhere',
}
const publicPages = ['sign-in', 'setup', 'forgot-password', 'reset-password#token=x', 'accept-invitation#token=x']

for (const { name, colorScheme, viewport } of looks) {
  test.describe(name, () => {
    test.use({ colorScheme, viewport })
    test.setTimeout(180_000)

    test('pages without signing in', async ({ page }) => {
      for (const path of publicPages) {
        await page.goto(`/${path}`)
        await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
        await look(page, path.split('#')[0] ?? path, name)
      }
    })

    test('asking', async ({ page }) => {
      await signIn(page, people.admin)
      await look(page, 'ask', name)
      // Asked in new words each time: an answer from the cache would be there at once.
      await ask(page, `Please take a moment and count the orders, ${Date.now()}`)
      await expect(lastTurn(page).getByRole('status')).toHaveText('Writing SQL')
      await look(page, 'progress', name)
      await expect(lastTurn(page).getByText('12,000').first()).toBeVisible()
      await ask(page, 'Revenue by month')
      await expect(lastTurn(page).locator('svg.marks')).toBeVisible()
      await look(page, 'answer', name)
      for (const fold of ['How this was answered', 'SQL', 'Details and evidence']) {
        await lastTurn(page).getByText(fold, { exact: true }).click()
      }
      await lastTurn(page).getByText('Export', { exact: true }).click()
      await look(page, 'answer-open', name)
      // Folded again: a link that scrolls halfway under the input that stays at the bottom counts as too small to hit.
      await lastTurn(page).getByText('Details and evidence', { exact: true }).click()
      await ask(page, 'What will the weather be?')
      await expect(lastTurn(page).getByRole('alert')).toBeVisible()
      await look(page, 'refusal', name)
    })

    test('the other pages', async ({ page }) => {
      await signIn(page, people.admin)
      for (const [of, path] of Object.entries(pages)) {
        await page.goto(path)
        await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
        await look(page, of, name)
      }
    })

    test('a question of the history', async ({ page }) => {
      await signIn(page, people.admin)
      await ask(page, 'Customers by country')
      await expect(lastTurn(page).locator('svg.marks')).toBeVisible()
      await page.goto('/history')
      await page.getByRole('link', { name: /Customers by country/ }).first().click()
      await expect(page.getByRole('region', { name: 'SQL' }).first()).toBeVisible()
      await look(page, 'stored', name)
    })
  })
}

test('from right to left nothing scrolls sideways', async ({ page }) => {
  test.setTimeout(120_000)
  await page.addInitScript(() => addEventListener('DOMContentLoaded', () => (document.documentElement.dir = 'rtl')))
  await signIn(page, people.admin)
  await ask(page, 'Customers by country')
  await expect(lastTurn(page).locator('svg.marks')).toBeVisible()
  await look(page, 'answer', 'rtl')
  await page.setViewportSize(phone)
  for (const of of ['history', 'schema', 'users', 'audit', 'health']) {
    await page.goto(pages[of] ?? '/')
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    await look(page, of, 'rtl')
  }
})

test('dark mode is chosen by hand and remembered', async ({ page }) => {
  await signIn(page, people.viewer)
  const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
  const light = await paper()
  await page.getByRole('button', { name: 'Dark' }).click()
  expect(await paper()).not.toBe(light)
  await page.reload()
  await expect(page.getByRole('button', { name: 'Dark' })).toHaveAttribute('aria-pressed', 'true')
  expect(await paper()).not.toBe(light)
})

test('on a phone the menu opens, leads on and closes', async ({ page }) => {
  await page.setViewportSize(phone)
  await signIn(page, people.viewer)
  await page.getByRole('button', { name: 'Open the menu' }).click()
  await page.getByRole('dialog').getByRole('link', { name: 'History' }).click()
  await expect(page.getByRole('heading', { name: 'History' })).toBeFocused()
  await expect(page.getByRole('dialog')).toBeHidden()
})

test('everything needed for a question works by keyboard alone', async ({ page }) => {
  await page.goto('/sign-in')
  await page.getByLabel('E-mail').focus()
  await page.keyboard.type(people.viewer.email)
  await page.keyboard.press('Tab')
  await page.keyboard.type(people.viewer.password)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { name: 'What would you like to know?' })).toBeFocused()
  await page.keyboard.press('Tab')
  await expect(page.getByLabel('Your question')).toBeFocused()
  await page.keyboard.type('How many customers do we have?')
  await page.keyboard.press('Enter')
  await expect(lastTurn(page).getByText('872').first()).toBeVisible()
})
