// Work that takes long, because whoever makes the vectors never answers.

import { createServer, type AddressInfo, type Server } from 'node:net'
import { startAssay, type Running } from './assay'
import { expect, people, signIn, test as shared } from './fixtures'

const test = shared.extend<{ silent: Server; server: Running }>({
  silent: async ({}, use) => {
    const silent = createServer((socket) => socket.on('error', () => socket.destroy()))
    await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done))
    await use(silent)
    silent.close()
  },
  server: async ({ silent }, use) => {
    const { port } = silent.address() as AddressInfo
    const server = await startAssay({
      fromBinary: true,
      env: { EMBEDDING_PROVIDER: 'openai', EMBEDDING_BASE_URL: `http://127.0.0.1:${port}/v1`, EMBEDDING_MODEL: 'silent' },
    })
    await use(server)
    await server.close()
  },
  home: async ({ server }, use) => use(server.url),
})

test('work in the background is cancelled', async ({ page }) => {
  await signIn(page, people.admin)
  await page.goto('/admin/jobs')
  const jobs = page.getByRole('listitem').filter({ hasText: 'Bring the index up to date' })
  // It began when the server did.
  await jobs.first().getByRole('button', { name: 'Cancel: Bring the index up to date' }).click()
  await expect(jobs.first().getByText('Cancelled')).toBeVisible()
})
