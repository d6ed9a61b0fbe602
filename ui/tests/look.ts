// A page as people see it: no serious accessibility violation, nothing that scrolls sideways, a picture to look at.

import AxeBuilder from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import { expect } from './fixtures'

export const phone = { width: 360, height: 740 }

export const looks = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 860 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 860 } },
  { name: 'phone', colorScheme: 'light', viewport: phone },
] as const

export async function look(page: Page, name: string, look: string) {
  await expect(page.getByText('Loading …')).toHaveCount(0)
  await page.screenshot({ path: `test-results/${name}-${look}.png`, fullPage: true })
  const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze()
  const grave = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
  expect.soft(grave.map(({ id, nodes }) => `${name}: ${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`)).toEqual([])
  const [wide, view] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth])
  expect.soft(wide, `${name} scrolls sideways`).toBeLessThanOrEqual(view)
}
