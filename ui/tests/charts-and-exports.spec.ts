import { readFile } from 'node:fs/promises'
import { ask, expect, lastTurn, people, signIn, test } from './fixtures'

test('a chart is drawn, changed and saved', async ({ page }) => {
  await signIn(page, people.viewer)
  await ask(page, 'Revenue by month')
  const chart = lastTurn(page).getByRole('region', { name: 'Chart', exact: true })
  await expect(chart.getByRole('button', { name: 'Line' })).toHaveAttribute('aria-pressed', 'true')
  await expect(chart.locator('svg.marks')).toBeVisible()
  await chart.getByRole('button', { name: 'Bars' }).click()
  await expect(chart.getByRole('button', { name: 'Bars' })).toHaveAttribute('aria-pressed', 'true')
  await expect(chart.locator('svg.marks .mark-rect path').nth(5)).toBeVisible()

  const [svg] = await Promise.all([page.waitForEvent('download'), chart.getByRole('button', { name: 'Save the chart as SVG' }).click()])
  expect(await readFile(await svg.path(), 'utf8')).toMatch(/^<svg/)
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

test('the CSV export has every row of the answer', async ({ page }) => {
  await signIn(page, people.viewer)
  await ask(page, 'List all customers')
  const turn = lastTurn(page)
  await expect(turn.getByRole('table')).toHaveAttribute('aria-rowcount', '873')
  await turn.getByText('Export', { exact: true }).click()
  const [file] = await Promise.all([page.waitForEvent('download'), turn.getByRole('link', { name: 'CSV' }).click()])
  const lines = (await readFile(await file.path(), 'utf8')).trim().split('\r\n')
  expect(lines).toHaveLength(873)
  expect(lines[0]).toBe('company_name,contact_name,city,country,credit_limit,registered_on')
  expect(lines[1]).toMatch(/^Alderpoint/)
})
