// <assay-ask endpoint="https://assay.example.org" token="..." theme="dark"></assay-ask>: a question on any page.
//
// Everything it shows is put in as text. It stands in a shadow of its own, so that neither page nor element disturbs the
// other, and its styles are an object, so that the page's content security policy need not allow any in the text.

import { eventsOf } from '../lib/sse'
import { parseJson } from '../lib/json'
import { embedStrings as strings } from '../lib/strings-embed'
import type { Answer, Cell, ProblemDocument } from '../lib/types'
import { styles } from './styles'

const rowsShown = 100

/** What goes on, for the page around: `assay-state` {state}, `assay-answer` {answer}, `assay-problem` {problem}. */
type Told = { 'assay-state': { state: string }; 'assay-answer': { answer: Answer }; 'assay-problem': { problem: ProblemDocument } }

/** Where is asked, by whom, and the conversation there, which nobody else knows. */
interface Place {
  endpoint: string
  token: string
  conversation_id?: number
}

export class AssayAsk extends HTMLElement {
  static observedAttributes = ['endpoint', 'placeholder', 'theme', 'token']

  #token = ''
  // Another token or endpoint is another place; what is under way stays where it was asked.
  #place: Place | undefined
  #asked: { abort: AbortController; place: Place; query_id?: number } | undefined
  #form: HTMLFormElement
  #input: HTMLInputElement
  #submit: HTMLButtonElement
  #said: HTMLElement
  #result: HTMLElement

  constructor() {
    super()
    const root = this.attachShadow({ mode: 'open' })
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(styles)
    root.adoptedStyleSheets = [sheet]
    this.#input = element('input', { id: 'question', autocomplete: 'off', enterKeyHint: 'send', maxLength: 2000 })
    this.#submit = element('button', { type: 'submit', textContent: strings.ask })
    const label = element('label', { htmlFor: 'question', textContent: strings.label })
    this.#form = element('form', {}, label, element('div', { className: 'row' }, this.#input, this.#submit))
    this.#said = element('p', { className: 'said', role: 'status' })
    this.#result = element('div', { className: 'result' })
    root.append(this.#form, this.#said, this.#result)
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault()
      if (this.isWorking) void this.stop()
      else void this.ask(this.#input.value)
    })
  }

  attributeChangedCallback(name: string, _: string | null, value: string | null) {
    if (name === 'token') this.token = value ?? ''
    if (name === 'placeholder') this.#input.placeholder = value ?? ''
    if (name === 'endpoint' && this.endpoint !== this.#place?.endpoint) this.#place = undefined
  }

  connectedCallback() {
    if (!this.#input.placeholder) this.#input.placeholder = strings.placeholder
  }

  disconnectedCallback() {
    void this.stop()
  }

  /** An access token or an API key. Set as a property it does not stand in the page. */
  set token(token: string) {
    if (token !== this.#token) this.#place = undefined
    this.#token = token
  }

  /** Where Assay is; without the attribute, where this script came from. */
  get endpoint(): string {
    return (this.getAttribute('endpoint') || new URL(import.meta.url).origin).replace(/\/+$/, '')
  }

  get isWorking(): boolean {
    return this.#asked !== undefined
  }

  /** Asks, and returns the answer; `undefined` if there is none. A second question may lean on the first. */
  async ask(question: string): Promise<Answer | undefined> {
    if (this.isWorking || !question.trim()) return undefined
    this.#input.value = question
    const place = (this.#place ??= { endpoint: this.endpoint, token: this.#token })
    this.#asked = { abort: new AbortController(), place }
    this.#submit.textContent = strings.stop
    this.#result.replaceChildren()
    this.#state('asking')
    try {
      const answer = await this.#follow(await this.#begin(question, place, this.#asked.abort.signal))
      this.#said.textContent = ''
      this.#show(answer)
      // Whatever was typed meanwhile is the next question.
      if (this.#input.value === question) this.#input.value = ''
      this.#tell('assay-answer', { answer })
      return answer
    } catch (error) {
      this.#fail(error)
      return undefined
    } finally {
      this.#asked = undefined
      this.#submit.textContent = strings.ask
    }
  }

  /** Stops what is being answered: model and query. */
  async stop(): Promise<void> {
    if (!this.#asked) return
    const { abort, place, query_id } = this.#asked
    if (query_id === undefined) return abort.abort()
    const options = { method: 'DELETE', headers: headersOf(place), keepalive: true }
    await fetch(`${place.endpoint}/api/v1/questions/${query_id}`, options).catch(() => abort.abort())
  }

  async #begin(question: string, place: Place, signal: AbortSignal): Promise<Response> {
    const isNew = place.conversation_id === undefined
    place.conversation_id ??= ((await (await this.#send('/conversations', {}, place, signal)).json()) as { id: number }).id
    try {
      return await this.#send('/questions', { question, conversation_id: place.conversation_id }, place, signal)
    } catch (error) {
      if (isNew || !isProblem(error) || error.code !== 'conversation_not_found') throw error
      // It was deleted elsewhere: the question begins another.
      place.conversation_id = undefined
      return await this.#begin(question, place, signal)
    }
  }

  async #send(path: string, body: unknown, place: Place, signal: AbortSignal): Promise<Response> {
    const response = await fetch(`${place.endpoint}/api/v1${path}`, {
      method: 'POST',
      headers: { ...headersOf(place), 'content-type': 'application/json', accept: 'text/event-stream, application/json;q=0.5' },
      body: JSON.stringify(body),
      signal,
    })
    if (!response.ok) throw await problemOf(response)
    return response
  }

  async #follow(response: Response): Promise<Answer> {
    if (!response.body) throw unexpected(response.status)
    const sql = element('pre', { className: 'sql' })
    let isWrittenAnew = true
    let answer: Answer | undefined
    const rows: Cell[][] = []
    for await (const { event, data } of eventsOf(response.body)) {
      // As text: the page around may want to write the answer as JSON.
      const told = parseJson<any>(data, String)
      if (event === 'begun' && this.#asked) this.#asked.query_id = told.query_id
      else if (event === 'state') {
        this.#state(told.state)
        isWrittenAnew ||= told.state === 'generating'
      } else if (event === 'writing') {
        sql.textContent = (isWrittenAnew ? '' : (sql.textContent ?? '')) + told.more
        isWrittenAnew = false
        if (!sql.isConnected) this.#result.replaceChildren(sql)
      } else if (event === 'answer') answer = told
      else if (event === 'rows') for (const [at, row] of (told.rows as Cell[][]).entries()) rows[told.offset + at] = row
      else if (event === 'finished' && answer) return { ...answer, rows }
      else if (event === 'stopped') throw new DOMException('stopped', 'AbortError')
      else if (event === 'refused' || event === 'failed') throw told as ProblemDocument
    }
    throw problem('connection_lost', strings.lost, { hint: strings.lostHint })
  }

  #state(state: string) {
    this.#said.textContent = strings.states[state] ?? strings.working
    this.#tell('assay-state', { state })
  }

  #show(answer: Answer) {
    const parts: Node[] = []
    if (answer.understood_as) parts.push(element('p', { className: 'soft', textContent: strings.understoodAs(answer.understood_as) }))
    parts.push(element('p', { className: 'sentence', textContent: answer.sentence }))
    if (answer.no_rows) parts.push(element('p', { textContent: strings.noRows(answer.no_rows.text) }))
    if (answer.rows.length > 1 || answer.columns.length > 1) parts.push(table(answer))
    const count = answer.rows.length
    if (count > rowsShown || answer.truncated)
      parts.push(element('p', { className: 'soft', textContent: strings.shown(Math.min(count, rowsShown), count, answer.truncated) }))
    const sure = answer.confidence == null ? [] : [strings.confidence(answer.confidence)]
    const from = [strings.from(answer.tables), strings.asOf(new Date(answer.data_as_of)), ...sure]
    parts.push(
      element('p', { className: 'soft', textContent: from.join(' · ') }),
      element('details', {}, element('summary', { textContent: 'SQL' }), element('pre', { className: 'sql', textContent: answer.sql })),
    )
    this.#result.replaceChildren(...parts)
  }

  #fail(error: unknown) {
    this.#said.textContent = ''
    if (error instanceof DOMException && error.name === 'AbortError') {
      this.#said.textContent = strings.stopped
      this.#result.replaceChildren()
      return this.#tell('assay-state', { state: 'stopped' })
    }
    const document = isProblem(error) ? error : problem('server_unreachable', strings.unreachable, { hint: strings.unreachableHint })
    const shown = element('div', { className: 'problem', role: 'alert' }, element('strong', { textContent: document.title }))
    if (document.detail) shown.append(element('p', { textContent: document.detail }))
    if (document.hint) shown.append(element('p', { className: 'soft', textContent: document.hint }))
    this.#result.replaceChildren(shown)
    this.#tell('assay-problem', { problem: document })
  }

  #tell<Name extends keyof Told>(name: Name, detail: Told[Name]) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }))
  }
}

function element<Tag extends keyof HTMLElementTagNameMap>(tag: Tag, properties: object = {}, ...children: Node[]): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag)
  Object.assign(made, properties)
  made.append(...children)
  return made
}

function table(answer: Answer): HTMLElement {
  const isNumber = answer.columns.map(({ type }) => type === 'integer' || type === 'real')
  const heads = answer.columns.map(({ name }, at) => element('th', { scope: 'col', textContent: name, className: isNumber[at] ? 'number' : '' }))
  const body = answer.rows.slice(0, rowsShown).map((row) =>
    element('tr', {}, ...row.map((cell, at) => element('td', { textContent: cell === null ? '–' : String(cell), className: isNumber[at] ? 'number' : '' }))),
  )
  const made = element('table', {}, element('thead', {}, element('tr', {}, ...heads)), element('tbody', {}, ...body))
  // What scrolls can be reached by keyboard.
  return element('div', { className: 'scroll', tabIndex: 0, role: 'region', ariaLabel: strings.result }, made)
}

const isProblem = (thrown: unknown): thrown is ProblemDocument => typeof thrown === 'object' && thrown !== null && 'code' in thrown && 'title' in thrown
const problem = (code: string, title: string, more: Partial<ProblemDocument> = {}): ProblemDocument => ({
  type: `urn:assay:problem:${code}`, status: 0, title, detail: '', code, ...more,
})
const unexpected = (status: number) => problem('unexpected_answer', strings.unexpected(status), { status })
const headersOf = ({ token }: Place): Record<string, string> => (token ? { authorization: `Bearer ${token}` } : {})

async function problemOf(response: Response): Promise<ProblemDocument> {
  const told: unknown = await response.json().catch(() => undefined)
  return isProblem(told) ? told : unexpected(response.status)
}

if (!customElements.get('assay-ask')) customElements.define('assay-ask', AssayAsk)
