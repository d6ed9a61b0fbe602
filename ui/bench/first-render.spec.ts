// How long it takes from asking for the page on this machine until something is to be seen, and until it can be used: each time
// in a browser that has nothing kept, beside a page without anything in it.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type Browser, type Page } from '@playwright/test'
import { people } from '../tests/fixtures'

const times = 9
const median = (of: number[]) => of.toSorted((one, other) => one - other)[Math.floor(of.length / 2)] ?? NaN
const seconds = (ms: number) => `${(ms / 1000).toFixed(3)} s`

const firstPaint = (page: Page) =>
  page.evaluate(
    () =>
      new Promise<number>((tell) =>
        new PerformanceObserver((list) => {
          const first = list.getEntriesByName('first-contentful-paint')[0]
          if (first) tell(first.startTime)
        }).observe({ type: 'paint', buffered: true }),
      ),
  )

async function measure(browser: Browser, url: string, ready: (page: Page) => Promise<unknown>, storageState?: Awaited<ReturnType<typeof stateOf>>) {
  const painted: number[] = []
  const usable: number[] = []
  for (let time = 0; time < times; time++) {
    const context = await browser.newContext({ storageState })
    const page = await context.newPage()
    const begun = performance.now()
    await page.goto(url, { waitUntil: 'commit' })
    await ready(page)
    usable.push(performance.now() - begun)
    painted.push(await firstPaint(page))
    await context.close()
  }
  return { painted: median(painted), usable: median(usable) }
}

async function stateOf(browser: Browser, home: string) {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(`${home}/sign-in`)
  await page.getByLabel('E-mail').fill(people.viewer.email)
  await page.getByLabel('Password').fill(people.viewer.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByLabel('Your question').waitFor()
  const state = await context.storageState()
  await context.close()
  return state
}

test('first render', async ({ browser }) => {
  test.setTimeout(180_000)
  const home = process.env.ASSAY_UI_URL ?? ''
  const empty = createServer((_, response) => response.end('<!doctype html><p>nothing</p>'))
  await new Promise<void>((listening) => empty.listen(0, '127.0.0.1', listening))
  const bare = await measure(browser, `http://127.0.0.1:${(empty.address() as AddressInfo).port}/`, (page) => page.getByText('nothing').waitFor())
  empty.close()
  const signIn = await measure(browser, `${home}/`, (page) => page.getByRole('button', { name: 'Sign in' }).waitFor())
  const ask = await measure(browser, `${home}/`, (page) => page.getByLabel('Your question').waitFor(), await stateOf(browser, home))
  const rows: [string, { painted: number; usable: number }][] = [['sign in', signIn], ['ask, signed in', ask], ['an empty page', bare]]
  console.log(`\nfirst render on localhost, median of ${times}, nothing kept by the browser; aim 1 s`)
  for (const [page, { painted, usable }] of rows) console.log(`  ${page.padEnd(16)} first paint ${seconds(painted)}   usable ${seconds(usable)}`)
})
