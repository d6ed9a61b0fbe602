import { readFile } from 'node:fs/promises'
import type { Locator } from '@playwright/test'
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
  await expect(turn.getByText('Rows beyond the limit that your administrator set are cut off.')).toBeVisible()
  const [file] = await Promise.all([page.waitForEvent('download'), turn.getByRole('link', { name: 'CSV' }).click()])
  const [head, ...rows] = recordsOf(await readFile(await file.path(), 'utf8'))
  expect(head).toEqual(['company_name', 'contact_name', 'city', 'country', 'credit_limit', 'registered_on'])
  // A number is written for people on the page and for programs in the file; it is the same number.
  const number = (text: string) => String(Number(text.replaceAll(',', '')))
  const plain = (cells: (string | null)[]) => cells.map((cell, at) => (head?.[at] === 'credit_limit' && cell ? number(cell) : (cell ?? '')))
  expect(rows.map(plain)).toEqual(shown.map(plain))
  expect(rows).toHaveLength(872)
})
