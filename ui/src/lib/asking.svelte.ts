// One question on its way: what the server says of it, as state that pages show.

import { asProblem, isAborted, isJson, Problem, problem, readJson, remove, request, send } from './api'
import { parseJson } from './json'
import { eventsOf, type ServerEvent } from './sse'
import { strings } from './strings'
import type { Answer, Cell, ProblemDocument, QueryRecord } from './types'

export type Step = 'understanding' | 'searching' | 'generating' | 'checking' | 'running' | 'repairing'
export type Phase = 'working' | 'answered' | 'problem' | 'stopped' | 'stored'

const waits_ms = [400, 800, 1500, 3000, 5000, 8000]
const longest_lost_ms = 180_000
const longest_unknown_ms = 10_000

export class Asking {
  readonly question: string
  readonly started = performance.now()
  phase = $state<Phase>('working')
  steps = $state<{ step: Step; at_ms: number }[]>([])
  sql = $state('')
  answer = $state.raw<Answer>()
  problem = $state.raw<Problem>()
  /** What became of it, where the stream could not be followed to its end. */
  record = $state.raw<QueryRecord>()
  query_id = $state<number>()
  isReconnecting = $state(false)
  isStopping = $state(false)

  #conversation: () => Promise<number | undefined>
  #abort = new AbortController()
  #last_event_id = ''
  #unknown_since: number | undefined
  #isOver = false
  #isWrittenAnew = true
  #pendingAnswer: Answer | undefined
  #rows: Cell[][] = []

  /** `conversation` begins the conversation if need be, and says its number. */
  constructor(question: string, conversation: () => Promise<number | undefined>) {
    this.question = question
    this.#conversation = conversation
  }

  get isWorking() {
    return this.phase === 'working'
  }

  async run(): Promise<void> {
    try {
      const response = await send('/questions', {
        method: 'POST',
        body: { question: this.question, conversation_id: await this.#conversation() },
        accept: 'text/event-stream, application/json;q=0.5',
        signal: this.#abort.signal,
      })
      if (isJson(response)) this.#finish(await readJson<Answer>(response))
      else await this.#follow(response)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Stops model and query. Where the server gave no number yet, closing the connection has to do. */
  async stop(): Promise<void> {
    if (!this.isWorking || this.isStopping) return
    this.isStopping = true
    if (this.query_id === undefined) return this.#abort.abort()
    try {
      await remove(`/questions/${this.query_id}`)
    } catch (error) {
      // 404: it ended in this very moment, and the stream tells how.
      if (this.isWorking && asProblem(error).status !== 404) this.#fail(error)
    } finally {
      this.isStopping = false
    }
  }

  async #follow(first: Response): Promise<void> {
    let response: Response | undefined = first
    let lost_at = 0
    for (let tries = 0; !this.#isOver; tries++) {
      try {
        if (response?.body) {
          for await (const event of eventsOf(response.body)) {
            this.isReconnecting = false
            lost_at = tries = 0
            this.#take(event)
            if (this.#isOver) return
          }
        }
      } catch (error) {
        if (isAborted(error)) throw error
      }
      if (this.query_id === undefined) throw problem('connection_lost', strings.problems.lost, strings.problems.lostDetail)
      this.isReconnecting = true
      lost_at ||= performance.now()
      if (performance.now() - lost_at > longest_lost_ms)
        throw problem('connection_lost', strings.problems.lost, strings.problems.lostDetail, {
          hint: strings.problems.lostHint,
        })
      await this.#sleep(waits_ms[Math.min(tries, waits_ms.length - 1)] ?? 0)
      response = await this.#reconnect(this.query_id)
    }
  }

  async #reconnect(query_id: number): Promise<Response | undefined> {
    try {
      return await send(`/questions/${query_id}/events`, {
        accept: 'text/event-stream',
        headers: this.#last_event_id ? { 'last-event-id': this.#last_event_id } : {},
        signal: this.#abort.signal,
      })
    } catch (error) {
      if (isAborted(error)) throw error
      const { status } = asProblem(error)
      if (status === 404) return await this.#askWhatBecame(query_id)
      // Unreachable, overloaded or starting: worth another try. Anything else is an answer.
      if (status === 0 || status === 429 || status >= 500) return undefined
      throw error
    }
  }

  async #askWhatBecame(query_id: number): Promise<undefined> {
    try {
      const record = await request<QueryRecord>(`/queries/${query_id}`, { signal: this.#abort.signal })
      this.#unknown_since ??= performance.now()
      // Pending without a stream: another server works on it, or the one that did is gone. That is not known before its
      // lease has run out, so what is stored is shown, and people may look again.
      if (record.status === 'pending' && performance.now() - this.#unknown_since < longest_unknown_ms) return
      this.record = record
      this.#end(record.status === 'error' ? 'problem' : 'stored')
      if (record.status === 'error') this.problem = recordProblem(record)
    } catch (error) {
      const { status } = asProblem(error)
      if (isAborted(error) || (status !== 0 && status < 500)) throw error
    }
  }

  #take(event: ServerEvent) {
    this.#last_event_id = event.id
    const data = parseJson<any>(event.data)
    switch (event.event) {
      case 'begun':
        this.query_id = data.query_id
        break
      case 'state':
        this.steps.push({ step: data.state, at_ms: data.at_ms })
        if (data.state === 'generating') this.#isWrittenAnew = true
        break
      case 'writing':
        // What was written before stands until something else does.
        this.sql = this.#isWrittenAnew ? data.more : this.sql + data.more
        this.#isWrittenAnew = false
        break
      case 'sql':
        this.sql = data.sql
        break
      case 'answer':
        this.#pendingAnswer = data
        break
      case 'rows':
        // By offset, so that a page that comes twice after a reconnect stands there once.
        for (const [at, row] of (data.rows as Cell[][]).entries()) this.#rows[data.offset + at] = row
        break
      case 'finished':
        if (this.#pendingAnswer) this.#finish({ ...this.#pendingAnswer, rows: this.#rows })
        break
      case 'stopped':
        this.#end('stopped')
        break
      case 'refused':
      case 'failed':
        this.problem = new Problem(data as ProblemDocument)
        this.#end('problem')
        break
    }
  }

  #finish(answer: Answer) {
    this.query_id = answer.query_id
    this.answer = answer
    this.#end('answered')
  }

  #fail(error: unknown) {
    if (isAborted(error)) return this.#end('stopped')
    this.problem = asProblem(error)
    this.query_id ??= this.problem.document.query_id ?? undefined
    this.#end('problem')
  }

  #end(phase: Phase) {
    this.#isOver = true
    this.isReconnecting = false
    this.isStopping = false
    this.phase = phase
  }

  #sleep(wait_ms: number): Promise<void> {
    const { signal } = this.#abort
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, wait_ms)
      signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true })
    })
  }
}

/** The problem that a stored query ended with. */
export function recordProblem(record: QueryRecord): Problem {
  return problem(record.error_code ?? 'error', strings.history.endedWith, record.error_message ?? '', {
    query_id: record.id,
    sql: record.sql,
  })
}
