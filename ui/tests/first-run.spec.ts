// The first start with nothing configured: from the address in the terminal to the first answer.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { binary, startFirst, type FirstRun } from './assay'
import { ask, expect, lastTurn, people, test as shared } from './fixtures'
import { look, looks } from './look'

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
  await look(page, 'first-run-administrator', 'real')
  await page.getByRole('button', { name: 'Next' }).click()

  await page.getByLabel('Your SQLite file').setInputFiles(wrong)
  await page.getByRole('button', { name: 'Copy this file' }).click()
  await expect(page.getByRole('alert')).toContainText('invalid_target')
  await look(page, 'first-run-data', 'real')
  await page.getByLabel('Your SQLite file').setInputFiles(shop)
  await page.getByRole('button', { name: 'Copy this file' }).click()
  await expect(page.getByText(/uploaded\.sqlite is copied: \d+ tables and views/)).toBeVisible()
  await look(page, 'first-run-finish', 'real')
  await page.getByRole('button', { name: 'Start Assay' }).click()
  await expect(page.getByRole('link', { name: 'Ask the first question' })).toBeVisible()
  await look(page, 'first-run-started', 'real')
  await page.getByRole('link', { name: 'Ask the first question' }).click()
  await expect(page.getByRole('heading', { name: 'What would you like to know?' })).toBeVisible()
  await look(page, 'first-run-question', 'real')
  await ask(page, 'How many customers do we have?')
  await expect(lastTurn(page).getByText('Fresh answer')).toBeVisible()
  await look(page, 'first-run-answer', 'real')
})

for (const { name, colorScheme, viewport } of looks) {
  shared.describe(name, () => {
    shared.use({ colorScheme, viewport })
    shared.setTimeout(90_000)

    // Played, because a real first run is past most of these before they can be looked at.
    shared('each step of the first run', async ({ page }) => {
      const target = { name: 'shop.sqlite', tables: 12, rows: 120_000 }
      const problem = { code: 'invalid_target', message: '`letter.db` is no SQLite database', hint: 'choose another file' }
      const steps: Record<string, [more: object, shown: string]> = {
        model: [{ has_model: false }, 'Fetch the models'],
        fetching: [{ has_model: false, fetching: { what: 'fetching', done: 300, total: 1200 } }, 'Fetching …'],
        data: [{ problem }, 'Copy this file'],
        copying: [{ copying: { what: 'copying', done: 2, total: 5 } }, 'Copying …'],
        waiting: [{ copying: { what: 'reading_schema', done: 0, total: 0 } }, 'Reading the tables …'],
        finish: [{ target }, 'Start Assay'],
      }
      const done = { administrator: people.admin.email, has_model: true, fetching: null, copying: null, target: null, problem: null }
      let status: object = { ...done, administrator: null }
      await page.route('**/api/v1/setup', (route) => route.fulfill({ json: status }))
      await page.route('**/api/v1/setup/*', (route) => route.fulfill({ status: 204 }))
      for (const [of, [more, shown]] of Object.entries(steps)) {
        status = { ...done, ...more }
        await page.goto('/setup#code')
        await page.reload()
        await expect(page.getByText(shown)).toBeVisible()
        if (of === 'data') await page.getByText('The file is on the server already').click()
        await look(page, `setup-${of}`, name)
      }

      // Signing in at the end takes the password that was given at the beginning.
      status = { ...done, administrator: null }
      await page.reload()
      await page.getByLabel('E-mail').fill(people.admin.email)
      await page.getByLabel('Your name').fill('Me')
      await page.getByLabel('Password').fill(people.admin.password)
      status = { ...done, target }
      await page.getByRole('button', { name: 'Next' }).click()
      let start = () => {}
      const starting = new Promise<void>((ready) => (start = ready))
      await page.route('**/health/ready', async (route) => (await starting, route.continue()))
      const collections = ['table_schemas', 'sample_queries', 'business_terms'].map((collection) => ({ collection, documents: 7, state: 'stale' }))
      await page.route('**/api/v1/index', (route) => route.fulfill({ json: { embedder: { name: 'm', hash: '', is_remote: false }, collections } }))
      await page.getByRole('button', { name: 'Start Assay' }).click()
      await expect(page.getByText('Assay is starting …')).toBeVisible()
      await look(page, 'setup-starting', name)
      start()
      await expect(page.getByRole('list', { name: 'Search index' }).getByRole('listitem')).toHaveCount(3)
      await look(page, 'setup-started', name)
    })
  })
}

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
