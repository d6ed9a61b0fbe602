// A language model that knows a few questions by heart: an OpenAI-compatible server for tests, on a free port.

import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A statement that runs until it is stopped. */
export const endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n, customers'

/** What a question contains, and the SQL it is answered with. The first that fits counts. */
const answers: [RegExp, string, { delay_ms?: number }?][] = [
  [/atlantis/i, "SELECT company_name FROM customers WHERE country = 'Atlantis'"],
  [/endless/i, endless],
  [/slow/i, 'SELECT count(*) AS customer_count FROM customers', { delay_ms: 30_000 }],
  [/take a moment/i, 'SELECT count(*) AS order_count FROM orders', { delay_ms: 2500 }],
  [/only germany/i, "SELECT count(*) AS customer_count FROM customers WHERE country = 'Germany'"],
  [/how many customers/i, 'SELECT count(*) AS customer_count FROM customers'],
  [/revenue by month/i, 'SELECT month, revenue FROM monthly_revenue ORDER BY month'],
  [/customers by country/i, 'SELECT country, count(*) AS customer_count FROM customers GROUP BY country ORDER BY customer_count DESC'],
  [/every order line/i, 'SELECT order_line_id, order_id, quantity, line_total FROM order_lines ORDER BY order_line_id'],
  [/all customers/i, 'SELECT company_name, contact_name, city, country, credit_limit, registered_on FROM customers ORDER BY company_name'],
  [/departments/i, 'SELECT department_name, city, annual_budget FROM departments ORDER BY annual_budget DESC'],
]
const unknown = 'SELECT weather FROM forecasts'

function sqlFor(prompt: string): { sql: string; delay_ms: number } {
  for (const [pattern, sql, { delay_ms = 0 } = {}] of answers) {
    if (pattern.test(prompt)) return { sql, delay_ms }
  }
  return { sql: unknown, delay_ms: 0 }
}

/** The question stands in a line of its own, the last such line of all messages: a repair only repeats the message before. */
function questionOf(body: { messages?: { role: string; content: unknown }[] }): string {
  const said = (body.messages ?? []).filter(({ role }) => role === 'user').map(({ content }) => String(content))
  return [...said.join('\n').matchAll(/^(?:Question|Follow-up question): (.*)$/gm)].at(-1)?.[1] ?? ''
}

export interface ScriptedModel {
  url: string
  close: () => void
}

export async function startScriptedModel(port = 0): Promise<ScriptedModel> {
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    if (!request.url?.endsWith('/chat/completions')) {
      send(response, 200, { object: 'list', data: [{ id: 'scripted', object: 'model' }] })
      return
    }
    const body = JSON.parse(text || '{}')
    const { sql, delay_ms } = sqlFor(questionOf(body))
    await new Promise((resolve) => setTimeout(resolve, delay_ms))
    if (response.destroyed) return
    if (body.stream) stream(response, sql)
    else send(response, 200, completion(sql, body.n ?? 1))
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const address = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${address.port}/v1`, close: () => (server.closeAllConnections(), server.close()) }
}

const usage = { prompt_tokens: 812, completion_tokens: 24, total_tokens: 836 }

function completion(sql: string, count: number) {
  const choice = (index: number) => ({ index, finish_reason: 'stop', message: { role: 'assistant', content: sql } })
  return { id: 'scripted', object: 'chat.completion', model: 'scripted', choices: Array.from({ length: count }, (_, at) => choice(at)), usage }
}

function send(response: ServerResponse, status: number, body: unknown) {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

function stream(response: ServerResponse, sql: string) {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const part = (delta: object, finish_reason: string | null = null) =>
    response.write(`data: ${JSON.stringify({ id: 'scripted', object: 'chat.completion.chunk', model: 'scripted', choices: [{ index: 0, delta, finish_reason }] })}\n\n`)
  part({ role: 'assistant' })
  for (const word of sql.match(/\S+\s*/g) ?? []) part({ content: word })
  part({}, 'stop')
  response.write(`data: ${JSON.stringify({ id: 'scripted', object: 'chat.completion.chunk', model: 'scripted', choices: [], usage })}\n\n`)
  response.end('data: [DONE]\n\n')
}
