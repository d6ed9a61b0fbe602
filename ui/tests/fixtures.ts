// What every browser test shares: a page that fails the test if the content security policy is violated, if anything beyond
// this machine is asked, or if a script throws; and people with each role.

import { expect, test as base, type Page } from '@playwright/test'
import { admin } from './assay'

export { expect }

export interface Person {
  email: string
  password: string
}

export const people = {
  admin,
  reviewer: { email: 'reviewer@example.com', password: 'second pair of eyes' },
  analyst: { email: 'analyst@example.com', password: 'counts on the tables' },
  viewer: { email: 'viewer@example.com', password: 'only looks at answers' },
} satisfies Record<string, Person>

interface Fixtures {
  /** Address of the server that the test speaks with. */
  home: string
  watched: void
}

export const test = base.extend<Fixtures>({
  home: async ({}, use) => use(process.env.ASSAY_UI_URL ?? ''),
  baseURL: async ({ home }, use) => use(home),
  watched: [
    async ({ context, home }, use) => {
      const faults: string[] = []
      await context.addInitScript(() => {
        addEventListener('securitypolicyviolation', (event) => {
          console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`)
        })
      })
      context.on('console', (message) => {
        if (/policy violated|Content Security Policy/i.test(message.text())) faults.push(message.text())
      })
      context.on('weberror', (error) => faults.push(`script fault: ${error.error()}`))
      context.on('request', (request) => {
        const { protocol, origin } = new URL(request.url())
        if (protocol !== 'data:' && protocol !== 'blob:' && origin !== new URL(home).origin) faults.push(`asked ${request.url()}`)
      })
      await use()
      expect(faults, 'policy violations, script faults and requests to other hosts').toEqual([])
    },
    { auto: true },
  ],
})

export async function signIn(page: Page, person: Person) {
  await page.goto('/sign-in')
  await page.getByLabel('E-mail').fill(person.email)
  await page.getByLabel('Password').fill(person.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('heading', { name: 'What would you like to know?' })).toBeVisible()
}

export async function ask(page: Page, question: string) {
  await page.getByLabel('Your question').fill(question)
  await page.keyboard.press('Enter')
}

/** The last turn of the conversation that is shown. */
export const lastTurn = (page: Page) => page.locator('.turns > li').last()
