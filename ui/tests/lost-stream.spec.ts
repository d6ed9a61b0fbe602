// The contract of a streamed question, event by event, and of a file that breaks off, with a server that is played by the test:
// what no real server does on demand.

import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { ask, expect, lastTurn, test as shared } from './fixtures'
import { startPageServer } from './page-server'

interface Played {
  url: string
  /** Whether the connection breaks before the answer is complete. */
  isCut: boolean
  /** What the stream brings instead of an answer. */
  refusal?: unknown
  asked: string[]
  /** Last-Event-ID of each reconnection. */
  resumed: string[]
  deleted: string[]
  /** Breaks the connection over which an export is coming. */
  cutFile: () => void
}

const answer = {
  query_id: 7, question: 'Sales?', sql: 'SELECT region, sales FROM s', columns: [{ name: 'region', type: 'text' }, { name: 'sales', type: 'integer' }],
  rows: [], row_count: 4, truncated: true, sentence: 'North leads with 40.', tables: ['s'], terms: [], reading: { sentence: '', assumptions: [] },
  confidence: 0.4, signals: { drawn: 0, agreeing: 0, findings: [], corrected: false }, corrections: [], doubts: [], verified_queries: [], values: [],
  origin: { kind: 'generated' }, degraded: [{ part: 'vector_store', code: 'vector_store_down', message: 'tables were found by words' }], repairs: 1,
  data_as_of: '2026-01-01T00:00:00Z', copied_at: '2026-01-01T00:00:00Z', original_changed: true, model: { name: 'm', hash: '', is_remote: true },
  values_sent: 'none', timings_ms: { total: 5 }, tokens: { prompt: 1, prompt_reused: 0, prompt_prefix: 0, generated: 1 }, receipt: {},
  chart: {
    kind: 'bar', why: 'One measure for each region: bars.', truncated: true,
    options: [{
      kind: 'bar', title: 'Bars',
      spec: { data: { name: 'rows' }, mark: 'bar', encoding: { x: { field: 'c0', type: 'nominal' }, y: { field: 'c1', type: 'quantitative' } } },
    }],
  },
}
const events: [string, unknown][] = [
  ['begun', { query_id: 7, question: 'Sales?', conversation_id: 1 }],
  ['state', { state: 'generating', at_ms: 1 }],
  ['writing', { more: 'SELECT' }],
  ['writing', { more: ' region' }],
  ['state', { state: 'repairing', at_ms: 2 }],
  ['answer', answer],
  ['rows', { offset: 0, rows: [['North', 40], ['East', 30]] }],
  ['rows', { offset: 2, rows: [['South', 20], ['West', 10]] }],
  ['finished', { row_count: 4 }],
]
const written = (from: number, to: number) =>
  events.slice(from, to).map(([event, data], at) => `id: ${from + at + 1}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join('')

const user = { id: 1, email: 'a@example.com', full_name: 'A', role: 'analyst', is_active: true, created_at: '2026-01-01T00:00:00Z' }

const test = shared.extend<{ played: Played }>({
  played: async ({}, use) => {
    const played: Played = { url: '', isCut: true, asked: [], resumed: [], deleted: [], cutFile: () => {} }
    const json = (response: ServerResponse, body: unknown, status = 200) => {
      response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' })
      response.end(JSON.stringify(body))
    }
    let open: ServerResponse | undefined
    const server = createServer((request, response) => {
      const path = request.url ?? ''
      if (path.endsWith('/me')) return json(response, user)
      if (path.includes('/conversations')) return json(response, request.method === 'POST' ? { id: 1 } : { items: [] })
      if (path.endsWith('/questions')) {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        open = response
        let body = ''
        request.on('data', (part) => (body += part)).on('end', () => played.asked.push(JSON.parse(body).question))
        if (played.refusal) return response.end(written(0, 2) + `id: 3\nevent: refused\ndata: ${JSON.stringify(played.refusal)}\n\n`)
        if (!played.isCut) return response.write(written(0, 5))
        // In the middle of a rows event, as a network does it.
        const text = written(0, 7) + written(7, 8).slice(0, 40)
        response.write(text.slice(0, 9))
        setTimeout(() => response.write(text.slice(9)), 30)
        setTimeout(() => response.destroy(), 400)
        return
      }
      if (path.endsWith('/events')) {
        const after = Number(request.headers['last-event-id'])
        played.resumed.push(String(after))
        if (played.resumed.length === 1) return json(response, { title: 'Down', code: 'system_store_down', detail: '', status: 503 }, 503)
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        // The page before is sent once more: a client must not count it twice.
        response.end(written(after - 1, events.length))
        return
      }
      if (path.includes('/result?')) {
        response.writeHead(200, { 'content-type': 'text/csv', 'content-length': '100', 'x-assay-rows': '4', 'x-assay-truncated': 'true' })
        response.write('region,sales')
        played.cutFile = () => response.destroy()
        return
      }
      if (request.method === 'DELETE') {
        played.deleted.push(path)
        response.writeHead(204).end()
        open?.end(`id: 99\nevent: stopped\ndata: {"title":"Stopped","code":"cancelled","detail":"","status":499}\n\n`)
        return
      }
      json(response, { title: 'Nothing', code: 'not_found', detail: '', status: 404 }, 404)
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const pages = await startPageServer(resolve('dist'), `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    played.url = pages.url
    await use(played)
    pages.close()
    server.closeAllConnections()
    server.close()
  },
  home: async ({ played }, use) => use(played.url),
})

test('a stream that breaks goes on after the last event, and no row is lost or doubled', async ({ page, played }) => {
  await page.goto('/')
  await ask(page, 'Sales?')
  const turn = lastTurn(page)
  await expect(turn.getByRole('status').first()).toHaveText('Connection lost, reconnecting')
  await expect(turn.getByRole('article').getByText('North leads with 40.')).toBeVisible()
  expect(played.resumed).toEqual(['7', '7'])
  await expect(turn.getByRole('table')).toHaveAttribute('aria-rowcount', '5')
  await expect(turn.locator('tbody tr')).toHaveText([/North\s*40/, /East\s*30/, /South\s*20/, /West\s*10/])
  // What is doubtful about an answer is said on its face.
  await expect(turn.getByText('The original data have changed since.')).toBeVisible()
  await expect(turn.getByText('Answered without vector store.')).toBeVisible()
  await expect(turn.getByText('Low confidence, 40%')).toBeVisible()
  await expect(turn.getByText('more were cut off')).toBeVisible()
  await expect(turn.getByText('the chart shows the first 4 rows only')).toBeVisible()
  await expect(turn.locator('svg.marks')).toBeVisible()
})

test('stopping deletes the question and shows that it stopped', async ({ page, played }) => {
  played.isCut = false
  await page.goto('/')
  await ask(page, 'Sales?')
  await expect(lastTurn(page).getByText('Repairing the SQL').first()).toBeVisible()
  await expect(lastTurn(page).getByRole('region', { name: 'SQL' })).toContainText('SELECT region')
  await page.getByRole('button', { name: 'Stop' }).click()
  await expect(lastTurn(page).getByRole('article')).toContainText('Stopped. Nothing was answered.')
  expect(played.deleted).toEqual(['/api/v1/questions/7'])
})

test('a question that may mean two things is asked back, and a choice asks it anew', async ({ page, played }) => {
  played.refusal = {
    title: 'The question can be read in two ways.', code: 'ambiguous_question', detail: 'sales may be counted or summed', status: 422, request_id: 'r-1',
    choices: [{ reading: 'The number of sales.', sql: 'SELECT count(*) FROM s' }, { reading: 'The sum of sales.', sql: 'SELECT sum(x) FROM s' }],
  }
  await page.goto('/')
  await ask(page, 'Sales?')
  await expect(lastTurn(page).getByRole('alert')).toContainText('sales may be counted or summed')
  await lastTurn(page).getByRole('button', { name: 'The sum of sales.' }).click()
  await expect(page.locator('.turns > li')).toHaveCount(2)
  expect(played.asked).toEqual(['Sales?', 'Sales? (I mean: The sum of sales)'])
})

test('an export says how many rows it has before it is saved, and half a file is not saved', async ({ page, played }) => {
  const saved: string[] = []
  page.on('download', (download) => saved.push(download.suggestedFilename()))
  await page.goto('/')
  await ask(page, 'Sales?')
  await lastTurn(page).getByText('Export', { exact: true }).click()
  await lastTurn(page).getByRole('button', { name: 'CSV' }).click()
  await expect(lastTurn(page).getByText('The file has the first 4 rows; more were cut off.')).toBeVisible()
  expect(saved).toEqual([])
  played.cutFile()
  await expect(page.getByRole('dialog')).toContainText('The file did not arrive whole, so nothing was saved.')
  await expect(page.getByRole('dialog').getByRole('button', { name: 'Try again' })).toBeVisible()
  expect(saved).toEqual([])
})
