import { ask, expect, lastTurn, people, signIn, test } from './fixtures'

test('signing in leads back to the page that was wanted', async ({ page }) => {
  await page.goto('/history?status=success')
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  await page.getByLabel('E-mail').fill(people.viewer.email)
  await page.getByLabel('Password').fill('not the right one')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('alert')).toContainText('invalid_credentials')
  await page.getByLabel('Password').fill(people.viewer.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page).toHaveURL(/\/history\?status=success$/)
  await expect(page.getByRole('heading', { name: 'History' })).toBeVisible()
})

test('a return path to another host is not followed', async ({ page, home }) => {
  await page.goto('/sign-in?return=//elsewhere.example/')
  await page.getByLabel('E-mail').fill(people.viewer.email)
  await page.getByLabel('Password').fill(people.viewer.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('heading', { name: 'What would you like to know?' })).toBeVisible()
  expect(page.url()).toBe(`${home}/`)
})

test('a question shows its states and partial SQL, then a sentence, a table and where it comes from', async ({ page }) => {
  await signIn(page, people.viewer)
  await ask(page, `Please take a moment and count the orders, ${Date.now()}`)
  const turn = lastTurn(page)
  await expect(turn.getByRole('status')).toHaveText('Writing SQL')
  await expect(turn.getByText('Understanding the question')).toBeVisible()
  await expect(turn.getByText('12,000').first()).toBeVisible()
  await expect(turn.getByText('Fresh answer')).toBeVisible()
  await turn.getByText('SQL', { exact: true }).click()
  await expect(turn.getByRole('region', { name: 'SQL' })).toContainText('FROM orders')
  await turn.getByText('Details and evidence').click()
  await expect(turn.getByText('scripted')).toBeVisible()
  await expect(page).toHaveURL(/\/conversations\/\d+$/)
})

test('a follow-up leans on the question before it', async ({ page }) => {
  await signIn(page, people.viewer)
  await ask(page, 'How many customers do we have?')
  await expect(lastTurn(page).getByText('872').first()).toBeVisible()
  await ask(page, 'only Germany')
  await expect(lastTurn(page).getByText('How many customers do we have? → only Germany')).toBeVisible()
  await page.reload()
  await expect(page.locator('.turns > li')).toHaveCount(2)
})

test('a table sorts, and shows only the rows in view', async ({ page }) => {
  await signIn(page, people.viewer)
  await ask(page, 'List all customers')
  const table = lastTurn(page).getByRole('table')
  await expect(table).toHaveAttribute('aria-rowcount', '873')
  expect(await table.locator('tbody tr').count()).toBeLessThan(80)
  await table.getByRole('button', { name: 'company_name' }).click()
  await table.getByRole('button', { name: 'company_name' }).click()
  await expect(table.getByRole('columnheader', { name: 'company_name' })).toHaveAttribute('aria-sort', 'descending')
  await expect(table.locator('tbody tr').first()).toContainText(/^(Z|Y|W)/)
  await lastTurn(page).getByRole('region', { name: 'Result' }).evaluate((box) => box.scrollTo(0, box.scrollHeight))
  await expect(table.locator('tr[aria-rowindex="873"]')).toContainText(/^Alderpoint/)
})

test('an assumption goes into the input as an edited question', async ({ page }) => {
  await signIn(page, people.viewer)
  await ask(page, 'How many customers are there, only Germany')
  const turn = lastTurn(page)
  await turn.getByText('How this was answered').click()
  await turn.getByRole('button', { name: /^Change: .*Germany/ }).click()
  await expect(page.getByLabel('Your question')).toHaveValue(/Germany/)
  await expect(page.getByLabel('Your question')).toBeFocused()
})

test('a question that cannot be answered says why, and can be edited', async ({ page }) => {
  await signIn(page, people.viewer)
  await ask(page, 'What will the weather be?')
  const alert = lastTurn(page).getByRole('alert')
  await expect(alert).toContainText('request')
  await alert.getByRole('button', { name: 'Edit the question' }).click()
  await expect(page.getByLabel('Your question')).toHaveValue('What will the weather be?')
})

test('a long question stops when it is told to', async ({ page }) => {
  await signIn(page, people.viewer)
  await ask(page, `A slow question about customers, ${Date.now()}`)
  await expect(lastTurn(page).getByRole('status')).toHaveText('Writing SQL')
  await page.getByRole('button', { name: 'Stop' }).click()
  await expect(lastTurn(page).getByRole('article')).toContainText('Stopped. Nothing was answered.')
  await ask(page, 'How many customers do we have?')
  await expect(lastTurn(page).getByText('872').first()).toBeVisible()
})

test('a rating is kept and the question is found in history', async ({ page }) => {
  await signIn(page, people.viewer)
  await ask(page, 'Customers by country, please')
  const turn = lastTurn(page)
  await turn.getByRole('radio', { name: '4 stars' }).check({ force: true })
  await expect(turn.getByText('Thank you, saved')).toBeVisible()
  await turn.getByLabel('Anything to add?').fill('Quick and right')
  await turn.getByRole('button', { name: 'Send' }).click()
  await expect(turn.getByLabel('Anything to add?')).toBeHidden()
  await page.getByRole('link', { name: 'History' }).click()
  await page.getByLabel('Search questions').fill('country, please')
  await page.getByRole('main').getByRole('link', { name: /Customers by country, please/ }).first().click()
  await expect(page.getByRole('heading', { name: 'Customers by country, please' })).toBeVisible()
  await expect(page.getByRole('radio', { name: '4 stars' })).toBeChecked()
})

test('an answer without rows says why', async ({ page }) => {
  await signIn(page, people.viewer)
  await ask(page, 'Which customers are in Atlantis?')
  await expect(lastTurn(page).getByText("No row fits: no row has country is 'Atlantis'.")).toBeVisible()
})

test('a screen reader is told each step and then the answer, and the focus stays on the button', async ({ page }) => {
  await signIn(page, people.viewer)
  await page.getByLabel('Your question').fill(`Please take a moment and count the orders, ${Date.now()}`)
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  const said = await lastTurn(page).getByRole('status').elementHandle()
  await expect.poll(() => said?.textContent()).toBe('Writing SQL')
  await expect(page.getByRole('button', { name: 'Stop' })).toBeFocused()
  await expect.poll(() => said?.textContent()).toContain('12000')
  expect(await said?.evaluate((element) => element.isConnected)).toBe(true)
  await expect(page.getByRole('button', { name: 'Ask', exact: true })).toBeFocused()
})

test('stars go back when they are not saved, and a comment outlives another star', async ({ page }) => {
  await signIn(page, people.viewer)
  await ask(page, 'Customers by country, rated twice')
  const turn = lastTurn(page)
  const star = (count: number) => turn.getByRole('radio', { name: `${count} star` })
  await star(4).check({ force: true })
  await turn.getByLabel('Anything to add?').fill('All but Norway')
  await turn.getByRole('button', { name: 'Send' }).click()
  await expect(turn.getByLabel('Anything to add?')).toBeHidden()

  await page.getByRole('link', { name: 'History' }).click()
  await page.getByRole('main').getByRole('link', { name: /rated twice/ }).first().click()
  const stars = page.getByRole('radiogroup')
  await expect(stars.getByRole('radio', { name: '4 stars' })).toBeChecked()
  const feedback = '**/feedback'
  await page.route(feedback, (route) => (route.request().method() === 'PUT' ? route.abort() : route.continue()))
  await stars.getByRole('radio', { name: '2 stars' }).check({ force: true }).catch(() => {})
  await expect(page.getByRole('alert')).toContainText('Assay cannot be reached.')
  await expect(stars.getByRole('radio', { name: '4 stars' })).toBeChecked()

  // Each key is a star; the first request is the slowest, and what it brings must not be what stays.
  await page.unroute(feedback)
  let isUnderway = false
  await page.route(feedback, async (route) => {
    if (route.request().method() !== 'PUT') return route.continue()
    expect(isUnderway, 'one request at a time').toBe(false)
    isUnderway = true
    await new Promise((later) => setTimeout(later, 200))
    await route.fulfill({ response: await route.fetch() })
    isUnderway = false
  })
  await stars.getByRole('radio', { name: '4 stars' }).focus()
  for (const key of ['ArrowLeft', 'ArrowLeft', 'ArrowLeft']) await page.keyboard.press(key)
  await expect(page.getByText('Thank you, saved')).toBeVisible()
  await expect(page.getByLabel('What was wrong?')).toHaveValue('All but Norway')
  await page.reload()
  await expect(stars.getByRole('radio', { name: '1 star' })).toBeChecked()
  await stars.getByRole('radio', { name: '2 stars' }).check({ force: true })
  await expect(page.getByLabel('What was wrong?')).toHaveValue('All but Norway')
})

test('what is asked while a conversation is being opened stays, and one that could not be opened is tried again', async ({ page }) => {
  await signIn(page, people.viewer)
  await ask(page, 'How many customers do we have?')
  await expect(lastTurn(page).getByText('872').first()).toBeVisible()
  const stored = '**/api/v1/conversations/*?limit=500'
  // What is stored may be read before the question is asked or after it: it stands there once.
  for (const [isReadBefore, count] of [[true, 2], [false, 3]] as const) {
    let go = () => {}
    let asked = () => {}
    const held = new Promise<void>((open) => (go = open))
    const reading = new Promise<void>((begun) => (asked = begun))
    await page.route(stored, async (route) => {
      const read = isReadBefore ? await route.fetch() : undefined
      asked()
      await held
      await (read ? route.fulfill({ response: read }) : route.continue())
    })
    await page.reload()
    await reading
    await ask(page, 'only Germany')
    await expect(lastTurn(page).getByText('Details and evidence')).toBeVisible()
    await expect(page.locator('.turns > li')).toHaveCount(1)
    go()
    const questions = ['How many customers do we have?', 'only Germany', 'only Germany'].slice(0, count)
    await expect(page.locator('.turns h2')).toHaveText(questions)
    await page.unroute(stored)
  }

  await page.route(stored, (route) => route.abort())
  await page.reload()
  await expect(page.getByRole('alert')).toContainText('Assay cannot be reached.')
  await page.unroute(stored)
  await page.getByRole('button', { name: 'Try again' }).click()
  await expect(page.locator('.turns > li')).toHaveCount(3)
})

test('a search goes on after a pause, and a listing that failed is read again', async ({ page }) => {
  await signIn(page, people.viewer)
  await page.goto('/history')
  const search = page.getByLabel('Search questions')
  await search.pressSequentially('many ')
  await expect(page).toHaveURL(/search=many$/)
  await search.pressSequentially('customers')
  await expect(page).toHaveURL(/search=many\+customers$/)
  await expect(search).toHaveValue('many customers')

  // Half a page of one question and half of another would be neither.
  const listing = '**/api/v1/queries?search=*'
  await page.route(listing, (route) => route.abort())
  await search.fill('nothing has these words')
  await expect(page.getByRole('alert')).toContainText('Assay cannot be reached.')
  await page.unroute(listing)
  await page.getByRole('button', { name: 'Try again' }).click()
  await expect(page.getByText('Nothing fits this search.')).toBeVisible()
})

test('an address that is no text leads nowhere', async ({ page }) => {
  await signIn(page, people.viewer)
  await page.goto('/schema/%zz')
  await expect(page.getByRole('heading', { name: 'Nothing here' })).toBeVisible()
})

test('a stored question runs again', async ({ page }) => {
  await signIn(page, people.viewer)
  await ask(page, 'Show the departments')
  await expect(lastTurn(page).getByRole('table')).toBeVisible()
  await page.getByRole('link', { name: 'History' }).click()
  await page.getByRole('main').getByRole('link', { name: /Show the departments/ }).first().click()
  await page.getByRole('button', { name: 'Run again' }).click()
  await expect(page.getByRole('table')).toContainText('Purchasing')
})
