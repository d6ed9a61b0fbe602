// <assay-ask> on the example page, and on a page of another site.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import AxeBuilder from '@axe-core/playwright'
import { test as plain, type Page } from '@playwright/test'
import { admin, startAssay } from './assay'
import { expect, people, test } from './fixtures'

async function tokenOf(home: string, person: { email: string; password: string }): Promise<string> {
  const { email, password } = person
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${home}/api/v1/auth/login`, { method: 'POST', headers, body: JSON.stringify({ email, password }) })
  return (await response.json()).access_token
}

const askIn = async (page: Page, question: string) => {
  await page.getByLabel('Ask your data').fill(question)
  await page.keyboard.press('Enter')
}

for (const theme of ['light', 'dark']) {
  test(`the example page asks, shows the answer and is told of it, ${theme}`, async ({ page, home }) => {
    await page.goto('/embed/example.html')
    await page.getByLabel('Colours').selectOption(theme)
    await askIn(page, 'How many customers do we have?')
    await expect(page.getByRole('alert')).toContainText('log in')
    await page.getByLabel('Token').fill(await tokenOf(home, people.viewer))
    await askIn(page, 'How many customers do we have?')
    await expect(page.locator('.sentence')).toContainText('872')
    await expect(page.getByText(/From customers · data as of/)).toBeVisible()
    // It leans on the question before.
    await askIn(page, 'only Germany')
    await expect(page.getByText('Understood as: How many customers do we have? → only Germany')).toBeVisible()
    await askIn(page, 'List all customers')
    await expect(page.getByText('100 of 872 rows are shown.')).toBeVisible()
    await expect(page.locator('assay-ask tbody tr')).toHaveCount(100)
    const told = page.locator('#events li')
    await expect(told.filter({ hasText: 'assay-problem: ' })).toHaveCount(1)
    await expect(told.filter({ hasText: 'assay-answer: ' })).toHaveCount(3)
    await expect(told.filter({ hasText: 'assay-state: understanding' })).toHaveCount(3)
    const { violations } = await new AxeBuilder({ page }).analyze()
    expect(violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')).toEqual([])
    await page.screenshot({ path: `test-results/screenshots/embedding-${theme}.png`, fullPage: true })
  })
}

test('a question of the element is stopped by its button', async ({ page, home }) => {
  await page.goto('/embed/example.html')
  await page.getByLabel('Token').fill(await tokenOf(home, people.viewer))
  await askIn(page, 'What is slow today?')
  await expect(page.getByText('Writing SQL …')).toBeVisible()
  await page.getByRole('button', { name: 'Stop' }).click()
  await expect(page.getByText('Stopped.')).toBeVisible()
  await expect(page.getByRole('button', { name: 'Ask' })).toBeVisible()
})

test('the element asks on in another name, after its conversation is gone, and beside what is typed', async ({ page, home }) => {
  const tokens = [await tokenOf(home, people.viewer), await tokenOf(home, people.analyst)] as const
  const sentence = page.locator('.sentence')
  const countries = page.getByText(/From customers · data as of/)
  await page.goto('/embed/example.html')
  await page.getByLabel('Token').fill(tokens[0])
  await askIn(page, 'How many customers do we have?')
  await expect(sentence).toContainText('872')

  // Nobody asks in the conversation of somebody else.
  await page.getByLabel('Token').fill(tokens[1])
  await askIn(page, 'Show the departments')
  await expect(page.locator('assay-ask tbody')).toContainText('Purchasing')

  const headers = { authorization: `Bearer ${tokens[1]}` }
  const { items } = await (await fetch(`${home}/api/v1/conversations?limit=1`, { headers })).json()
  await fetch(`${home}/api/v1/conversations/${items[0].id}`, { method: 'DELETE', headers })
  await askIn(page, 'Customers by country')
  await expect(countries).toBeVisible()

  await askIn(page, `Please take a moment and count the orders, ${Date.now()}`)
  await page.getByLabel('Ask your data').fill('What I ask next')
  await expect(sentence).toContainText('12000')
  await expect(page.getByLabel('Ask your data')).toHaveValue('What I ask next')

  // What is stopped is what was asked, whoever asks next.
  await askIn(page, `A slow question about customers, ${Date.now()}`)
  await expect(page.getByText('Writing SQL …')).toBeVisible()
  await page.getByLabel('Token').fill(tokens[0])
  await page.getByRole('button', { name: 'Stop' }).click()
  await expect(page.getByText('Stopped.')).toBeVisible()
})

plain('only the sites that are named may ask from their pages', async ({ page }) => {
  const site = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' })
    response.end(`<!doctype html><title>A site</title><script type="module" src="${assay.url}/embed/assay-ask.js"></script><assay-ask></assay-ask>`)
  })
  await new Promise<void>((listening) => site.listen(0, '127.0.0.1', listening))
  const { port } = site.address() as AddressInfo
  const assay = await startAssay({ embedOrigins: `http://127.0.0.1:${port}`, fromBinary: true })
  try {
    const token = await tokenOf(assay.url, admin)
    const open = async (origin: string) => {
      await page.goto(origin)
      await page.evaluate((token) => document.querySelector('assay-ask')?.setAttribute('token', token), token)
    }
    await open(`http://127.0.0.1:${port}`)
    await askIn(page, 'How many customers do we have?')
    await expect(page.locator('.sentence')).toContainText('872')
    // The same page by another name is another site: it gets neither the script nor an answer.
    await open(`http://localhost:${port}`)
    await expect(page.getByLabel('Ask your data')).toHaveCount(0)
    const asked = await page.evaluate(async (url) => {
      const options = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"question": "How many?"}' }
      return await fetch(`${url}/api/v1/questions`, options).then(() => 'answered', () => 'refused')
    }, assay.url)
    expect(asked).toBe('refused')
  } finally {
    await assay.close()
    site.close()
  }
})
