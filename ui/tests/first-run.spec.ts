// The first start with nothing configured: from the address in the terminal to the first answer.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import AxeBuilder from '@axe-core/playwright'
import { binary, startFirst, type FirstRun } from './assay'
import { ask, expect, lastTurn, test as shared } from './fixtures'

const test = shared.extend<{ first: FirstRun; folder: string }>({
  folder: async ({}, use) => {
    const folder = mkdtempSync(join(tmpdir(), 'assay-first-'))
    await use(folder)
    rmSync(folder, { recursive: true, force: true })
  },
  first: async ({}, use) => {
    const first = await startFirst()
    await use(first)
    await first.close()
  },
  home: async ({ first }, use) => use(first.url),
})

test('a person without any configuration gets from the first page to an answer', async ({ page, first, folder }) => {
  test.setTimeout(90_000)
  const shop = join(folder, 'company.sqlite')
  const made = spawnSync(binary, ['demo', '--generate', shop, '--orders', '200'], { env: { HOME: folder, DATA_DIR: folder } })
  expect(made.status).toBe(0)
  const wrong = join(folder, 'letter.db')
  writeFileSync(wrong, 'Dear all')

  // Without the code there is nothing to see.
  await page.goto('/')
  await expect(page).toHaveURL(/\/setup$/)
  await page.getByLabel('Code').fill('guess')
  await page.getByRole('button', { name: 'Go on' }).click()
  await expect(page.getByRole('alert')).toContainText('invalid_credentials')

  await page.goto(first.address)
  await page.reload()
  await page.getByLabel('E-mail').fill('me@example.org')
  await page.getByLabel('Your name').fill('Me')
  await page.getByLabel('Password').fill('password1234')
  await page.getByRole('button', { name: 'Next' }).click()
  await expect(page.getByRole('alert')).toContainText('invalid_password')
  await page.getByLabel('Password').fill('four words of my own')
  const { violations } = await new AxeBuilder({ page }).analyze()
  expect(violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')).toEqual([])
  await page.screenshot({ path: 'test-results/screenshots/first-run-administrator.png' })
  await page.getByRole('button', { name: 'Next' }).click()

  await page.getByLabel('Your SQLite file').setInputFiles(wrong)
  await page.getByRole('button', { name: 'Copy this file' }).click()
  await expect(page.getByRole('alert')).toContainText('invalid_target')
  await page.screenshot({ path: 'test-results/screenshots/first-run-data.png' })
  await page.getByLabel('Your SQLite file').setInputFiles(shop)
  await page.getByRole('button', { name: 'Copy this file' }).click()
  await expect(page.getByText(/uploaded\.sqlite is copied: \d+ tables and views/)).toBeVisible()
  await page.getByRole('button', { name: 'Start Assay' }).click()
  await page.getByRole('link', { name: 'Ask the first question' }).click()
  await expect(page.getByRole('heading', { name: 'What would you like to know?' })).toBeVisible()
  await ask(page, 'How many customers do we have?')
  await expect(lastTurn(page).getByText('Fresh answer')).toBeVisible()
})

shared('what fails once the form is gone is said all the same, and can be tried again', async ({ page }) => {
  const status = { administrator: null as string | null, has_model: true, fetching: null, copying: null, target: null as unknown, problem: null }
  await page.route('**/api/v1/setup', (route) => route.fulfill({ json: status }))
  await page.route('**/api/v1/setup/*', (route) => route.fulfill({ status: 204 }))
  await page.goto('/setup#code')
  await page.getByLabel('E-mail').fill('me@example.org')
  await page.getByLabel('Your name').fill('Me')
  await page.getByLabel('Password').fill('four words of my own')
  status.administrator = 'me@example.org'
  await page.getByRole('button', { name: 'Next' }).click()

  // The server of the other tests is set up, and takes no file any more.
  const upload = '**/api/v1/setup/upload'
  await page.route(upload, (route) => route.continue())
  await page.getByLabel('Your SQLite file').setInputFiles({ name: 'shop.db', mimeType: 'application/octet-stream', buffer: Buffer.alloc(100_000) })
  await page.getByRole('button', { name: 'Copy this file' }).click()
  await expect(page.getByRole('alert')).toContainText('request')
  status.target = { name: 'shop.db', tables: 1, rows: 1 }
  await page.unroute(upload)
  await page.getByRole('button', { name: 'Copy this file' }).click()
  await expect(page.getByRole('alert')).toHaveCount(0)

  // The server that takes over does not know this person.
  await page.getByRole('button', { name: 'Start Assay' }).click()
  await expect(page.getByRole('alert')).toContainText('invalid_credentials')
  await expect(page.getByRole('button', { name: 'Start Assay' })).toBeVisible()
})
