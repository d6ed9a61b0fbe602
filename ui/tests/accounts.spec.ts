// How people come in, stay in and change what is theirs; on a server of its own that sends letters.

import { startAssay, type Running } from './assay'
import { expect, people, signIn, test as shared, type Person } from './fixtures'
import { openLetterBox, type LetterBox } from './letter-box'

const test = shared.extend<{ box: LetterBox; server: Running }>({
  box: async ({}, use) => {
    const box = await openLetterBox()
    await use(box)
    box.close()
  },
  server: async ({ box }, use) => {
    const server = await startAssay({
      fromBinary: true,
      env: { REGISTRATION: 'invite', SMTP_HOST: '127.0.0.1', SMTP_PORT: String(box.port), SMTP_TLS: 'none', SMTP_FROM: 'Assay <assay@example.com>' },
    })
    await use(server)
    await server.close()
  },
  home: async ({ server }, use) => use(server.url),
})

test('an invited person makes an account, forgets its password, and chooses another', async ({ page, box }) => {
  const guest: Person = { email: 'guest@example.com', password: 'welcome to the company' }
  await signIn(page, people.admin)
  await page.goto('/admin/invitations')
  await page.getByLabel('E-mail').fill(guest.email)
  await page.getByLabel('Role').selectOption('analyst')
  await page.getByRole('button', { name: 'Send the invitation' }).click()
  const invitation = page.getByRole('listitem').filter({ hasText: guest.email })
  await expect(invitation).toContainText('Open')
  const link = await box.linkTo(guest.email)

  await page.goto('/account')
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  await page.goto(link)
  await page.getByLabel('Your name').fill('The guest')
  await page.getByLabel('Password').fill(guest.password)
  await page.getByRole('button', { name: 'Make my account' }).click()
  await expect(page.getByText('Your account is ready.')).toBeVisible()
  await signIn(page, guest)
  await expect(page.getByRole('link', { name: 'SQL workbench' })).toBeVisible()

  await page.context().clearCookies()
  await page.goto('/forgot-password')
  await page.getByLabel('E-mail').fill(guest.email)
  await page.getByRole('button', { name: 'Send the link' }).click()
  await page.goto(await box.linkTo(guest.email))
  const changed = { ...guest, password: 'another one altogether' }
  await page.getByLabel('New password').fill(changed.password)
  await page.getByRole('button', { name: 'Set the password' }).click()
  await expect(page.getByRole('status')).toBeVisible()
  await signIn(page, changed)

  // The link of the first letter was good for once.
  await page.goto(link)
  await page.getByLabel('Your name').fill('Somebody else')
  await page.getByLabel('Password').fill('let me in as well')
  await page.getByRole('button', { name: 'Make my account' }).click()
  await expect(page.getByRole('alert')).toBeVisible()
})

test('an invitation is withdrawn before it is used', async ({ page, box }) => {
  await signIn(page, people.admin)
  await page.goto('/admin/invitations')
  await page.getByLabel('E-mail').fill('late@example.com')
  await page.getByRole('button', { name: 'Send the invitation' }).click()
  const link = await box.linkTo('late@example.com')
  await page.getByRole('button', { name: 'Withdraw the invitation of late@example.com' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Withdraw' }).click()
  await expect(page.getByRole('listitem').filter({ hasText: 'late@example.com' })).toContainText('Withdrawn')
  await page.goto(link)
  await page.getByLabel('Your name').fill('Too late')
  await page.getByLabel('Password').fill('let me in all the same')
  await page.getByRole('button', { name: 'Make my account' }).click()
  await expect(page.getByRole('alert')).toBeVisible()
})

test('a password is changed by who knows the old one', async ({ page }) => {
  await signIn(page, people.admin)
  await page.goto('/account')
  const change = page.getByRole('region', { name: 'Password' })
  const changed = { ...people.admin, password: 'a rather different phrase' }
  await change.getByLabel('Current password').fill('not what it was')
  await change.getByLabel('New password').fill(changed.password)
  await change.getByRole('button').click()
  await expect(change.getByRole('alert')).toBeVisible()
  await expect(page.getByRole('heading', { name: 'Account' })).toBeVisible()
  await change.getByLabel('Current password').fill(people.admin.password)
  await change.getByRole('button').click()
  await expect(page.getByText('Your password is changed.')).toBeVisible()
  await page.context().clearCookies()
  await signIn(page, changed)
})

test('a session that ran out is renewed without a word, and one that is over leads back after signing in', async ({ page, context }) => {
  await signIn(page, people.admin)
  const without = (name: string) => context.clearCookies({ name })
  await without('assay_session')
  const renewed = page.waitForResponse((response) => response.url().endsWith('/auth/refresh'))
  await page.getByRole('link', { name: 'History', exact: true }).click()
  expect((await renewed).status()).toBe(200)
  await expect(page.getByRole('heading', { name: 'History' })).toBeVisible()

  await without('assay_session')
  await without('assay_refresh')
  await page.getByRole('link', { name: 'Business terms' }).click()
  await expect(page).toHaveURL(/sign-in\?return=%2Fterms/)
  await page.getByLabel('E-mail').fill(people.admin.email)
  await page.getByLabel('Password').fill(people.admin.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('heading', { name: 'Business terms' })).toBeVisible()
})
