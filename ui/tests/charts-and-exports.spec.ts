import { readFile } from 'node:fs/promises'
import type { Locator } from '@playwright/test'
import { startAssay } from './assay'
import { ask, expect, lastTurn, people, signIn, test } from './fixtures'

test('a chart is drawn, changed and saved', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'dark' })
  await signIn(page, people.viewer)
  await ask(page, 'Revenue by month')
  const chart = lastTurn(page).getByRole('region', { name: 'Chart', exact: true })
  await expect(chart.getByRole('button', { name: 'Line' })).toHaveAttribute('aria-pressed', 'true')
  await expect(chart.locator('svg.marks')).toBeVisible()
  await chart.getByRole('button', { name: 'Bars' }).click()
  await expect(chart.getByRole('button', { name: 'Bars' })).toHaveAttribute('aria-pressed', 'true')
  await expect(chart.locator('svg.marks .mark-rect path').nth(5)).toBeVisible()

  const [svg] = await Promise.all([page.waitForEvent('download'), chart.getByRole('button', { name: 'Save the chart as SVG' }).click()])
  // Light letters on no ground could not be read anywhere else.
  const ground = await lastTurn(page).locator('.card').first().evaluate((card) => getComputedStyle(card).getPropertyValue('--surface').trim())
  expect(await readFile(await svg.path(), 'utf8')).toMatch(new RegExp(`^<svg[^>]*><rect[^>]* fill="${ground}"`))
  const [png] = await Promise.all([page.waitForEvent('download'), chart.getByRole('button', { name: 'Save the chart as PNG' }).click()])
  expect((await readFile(await png.path())).subarray(1, 4).toString()).toBe('PNG')

  await chart.getByRole('button', { name: 'Table only' }).click()
  await expect(chart.locator('svg.marks')).toHaveCount(0)
})

test('one number is shown big', async ({ page }) => {
  await signIn(page, people.viewer)
  await ask(page, 'How many customers do we have?')
  const chart = lastTurn(page).getByRole('region', { name: 'Chart', exact: true })
  await expect(chart.locator('strong')).toHaveText('872')
  await expect(chart).toContainText('Customer count')
})

/** The records of RFC 4180: a quoted field may hold commas, line breaks and, doubled, quotes. */
function recordsOf(csv: string): string[][] {
  const records: string[][] = [[]]
  for (const [, quoted, plain, end] of csv.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/g)) {
    records.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain ?? '')
    if (end === '') break
    if (end === '\r\n') records.push([])
  }
  // What ends with a line break has no record behind it.
  return records.filter((record) => record.length > 1)
}

/** Every row of a table that has only those in view in the page, read by scrolling. `null` for what is unknown. */
async function rowsOf(table: Locator): Promise<(string | null)[][]> {
  return await table.evaluate(async (element) => {
    const box = element.closest('[role=region]') as HTMLElement
    const rows = new Map<number, (string | null)[]>()
    for (let top = 0; top < box.scrollHeight; top += 300) {
      box.scrollTo(0, top)
      await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))
      for (const row of element.querySelectorAll('tbody tr[aria-rowindex]')) {
        const cells = [...row.querySelectorAll('td')].map((cell) => (cell.classList.contains('unknown') ? null : (cell.title || cell.textContent || '').trim()))
        rows.set(Number(row.getAttribute('aria-rowindex')), cells)
      }
    }
    return [...rows].sort(([one], [other]) => one - other).map(([, cells]) => cells)
  })
}

test('the CSV export has every row of the answer', async ({ page }) => {
  await signIn(page, people.viewer)
  await ask(page, 'List all customers')
  const turn = lastTurn(page)
  const table = turn.getByRole('table')
  await expect(table).toHaveAttribute('aria-rowcount', '873')
  const shown = await rowsOf(table)
  await turn.getByText('Export', { exact: true }).click()
  await expect(turn.getByText('872 rows, as shown here.')).toBeVisible()
  const [file] = await Promise.all([page.waitForEvent('download'), turn.getByRole('button', { name: 'CSV' }).click()])
  await expect(turn.getByText('The file has 872 rows, all there are.')).toBeVisible()
  expect(file.suggestedFilename()).toMatch(/^assay-\d+\.csv$/)
  const [head, ...rows] = recordsOf(await readFile(await file.path(), 'utf8'))
  expect(head).toEqual(['company_name', 'contact_name', 'city', 'country', 'credit_limit', 'registered_on'])
  // A number is written for people on the page and for programs in the file; it is the same number.
  const number = (text: string) => String(Number(text.replaceAll(',', '')))
  const plain = (cells: (string | null)[]) => cells.map((cell, at) => (head?.[at] === 'credit_limit' && cell ? number(cell) : (cell ?? '')))
  expect(rows.map(plain)).toEqual(shown.map(plain))
  expect(rows).toHaveLength(872)
})

test.describe('with few rows allowed', () => {
  test.use({
    home: async ({}, use) => {
      const server = await startAssay({ env: { QUERY_MAX_ROWS: '100', EXPORT_MAX_ROWS: '500' } })
      await use(server.url)
      await server.close()
    },
  })

  test('an answer that was cut off says so before it is exported, and so does its file', async ({ page }) => {
    await signIn(page, people.admin)
    await ask(page, 'List all customers')
    const turn = lastTurn(page)
    await turn.getByText('Export', { exact: true }).click()
    await expect(turn.getByText('More than the 100 rows shown here, which were cut off.')).toBeVisible()
    const [file] = await Promise.all([page.waitForEvent('download'), turn.getByRole('button', { name: 'CSV' }).click()])
    await expect(turn.getByText('The file has the first 500 rows; more were cut off.')).toBeVisible()
    expect(recordsOf(await readFile(await file.path(), 'utf8'))).toHaveLength(501)
  })
})

test('an export that fails says what to do, and nothing is saved in its place', async ({ page, context }) => {
  await signIn(page, people.viewer)
  await ask(page, 'Show the departments')
  const turn = lastTurn(page)
  await expect(page).toHaveURL(/\/conversations\/\d+$/)
  const address = page.url()
  const saved: string[] = []
  page.on('download', (download) => saved.push(download.suggestedFilename()))
  const result = '**/api/v1/queries/*/result?format=csv'
  const failed = page.getByRole('dialog', { name: 'The file was not made' })
  const csv = turn.getByRole('button', { name: 'CSV' })
  await turn.getByText('Export', { exact: true }).click()
  const problems = [
    { status: 404, code: 'query_not_found', title: 'There is no such question.', advice: 'ask the question again, and export its answer' },
    { status: 429, code: 'rate_limited', title: 'Too many requests.', hint: 'wait 7 s and ask again', advice: 'wait 7 s and ask again' },
    { status: 503, code: 'target_database_down', title: 'The data cannot be read.', advice: 'wait a moment and try again' },
  ]
  for (const { advice, ...document } of problems) {
    const body = JSON.stringify({ type: '', detail: '', ...document })
    await page.route(result, (route) => route.fulfill({ status: document.status, contentType: 'application/problem+json', body }))
    await csv.click()
    await expect(failed).toContainText(document.title)
    await expect(failed).toContainText(advice)
    await expect(failed.getByRole('button', { name: 'Try again' })).toHaveCount(document.status === 404 ? 0 : 1)
    await page.unroute(result)
    await page.keyboard.press('Escape')
    await expect(csv).toBeFocused()
  }
  await page.route(result, (route) => route.abort())
  await csv.click()
  await expect(failed).toContainText('Assay cannot be reached.')
  await page.unroute(result)
  expect(saved).toEqual([])
  await Promise.all([page.waitForEvent('download'), failed.getByRole('button', { name: 'Try again' }).click()])
  await expect(failed).toBeHidden()
  expect(page.url()).toBe(address)

  // A session that can be renewed is; one that is over leads to signing in and back.
  await context.clearCookies({ name: 'assay_session' })
  await Promise.all([page.waitForEvent('download'), csv.click()])
  await context.clearCookies()
  await csv.click()
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  expect(decodeURIComponent(page.url())).toContain(new URL(address).pathname)
  expect(saved).toHaveLength(2)
})
