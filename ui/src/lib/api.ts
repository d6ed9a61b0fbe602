// One way to speak with the server: JSON in, JSON or a problem out, and a session that renews itself.

import { parseJson } from './json'
import type { ProblemDocument } from './types'
import { strings } from './strings'

/** A problem document (RFC 9457) as an error; also for what never reached the server. */
export class Problem extends Error {
  readonly document: ProblemDocument

  constructor(document: ProblemDocument) {
    super(document.detail)
    this.document = document
  }

  get code() {
    return this.document.code
  }
  get status() {
    return this.document.status
  }
}

export function problem(code: string, title: string, detail: string, more: Partial<ProblemDocument> = {}) {
  return new Problem({ type: `urn:assay:problem:${code}`, status: 0, title, detail, code, ...more })
}

/** Turns whatever was thrown into a problem that can be shown. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  const detail = error instanceof Error ? error.message : String(error)
  return problem('page_fault', strings.problems.pageFault, detail, { hint: strings.problems.reload })
}

export const isAborted = (error: unknown) => error instanceof DOMException && error.name === 'AbortError'

let whenSignedOut = () => {}

/** Says what to do when the session is over and cannot be renewed. */
export function onSignedOut(act: () => void) {
  whenSignedOut = act
}

export interface Options {
  method?: string
  body?: unknown
  /** For bodies that are not JSON. */
  text?: { type: string; content: string }
  accept?: string
  headers?: Record<string, string>
  signal?: AbortSignal
  /** Sign-in and its kin: a 401 is their answer, not the end of a session. */
  isPublic?: boolean
}

/** Sends a request and returns the response if it is a good one; throws a [`Problem`] otherwise. */
export async function send(path: string, options: Options = {}): Promise<Response> {
  let response = await fetchOnce(path, options)
  if (response.status === 401 && !options.isPublic) {
    if (await renew()) response = await fetchOnce(path, options)
    if (response.status === 401) whenSignedOut()
  }
  if (!response.ok) throw await readProblem(response)
  return response
}

export async function request<T>(path: string, options: Options = {}): Promise<T> {
  const response = await send(path, options)
  if (response.status === 204 || response.status === 202 && !isJson(response)) return undefined as T
  return await readJson<T>(response)
}

export const get = <T>(path: string, signal?: AbortSignal) => request<T>(path, { signal })
export const post = <T>(path: string, body: unknown = {}, signal?: AbortSignal) => request<T>(path, { method: 'POST', body, signal })
export const postEmpty = <T>(path: string) => request<T>(path, { method: 'POST' })
export const put = <T>(path: string, body: unknown) => request<T>(path, { method: 'PUT', body })
export const patch = <T>(path: string, body: unknown) => request<T>(path, { method: 'PATCH', body })
export const remove = (path: string) => request<void>(path, { method: 'DELETE' })

/** A query string of what is set; empty texts and undefined count as not set. */
export function query(parameters: Record<string, string | number | boolean | null | undefined>): string {
  const set = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== '')
  return set.length ? '?' + new URLSearchParams(set.map(([key, value]) => [key, String(value)])).toString() : ''
}

export const readJson = async <T>(response: Response) => parseJson<T>(await response.text())

export function isJson(response: Response) {
  return /\bjson\b/.test(response.headers.get('content-type') ?? '')
}

/** Sends a request and returns whatever answer comes; throws a [`Problem`] only if none does. */
export async function fetchOnce(path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { accept: options.accept ?? 'application/json', ...options.headers }
  let body: string | undefined
  if (options.text) {
    headers['content-type'] = options.text.type
    body = options.text.content
  } else if (options.body !== undefined) {
    headers['content-type'] = 'application/json'
    body = JSON.stringify(options.body)
  }
  const url = path.startsWith('/health') ? path : `/api/v1${path}`
  try {
    return await fetch(url, {
      method: options.method ?? 'GET',
      headers,
      body,
      signal: options.signal,
      credentials: 'same-origin',
    })
  } catch (error) {
    if (isAborted(error)) throw error
    throw problem('server_unreachable', strings.problems.unreachable, strings.problems.unreachableDetail, {
      hint: strings.problems.unreachableHint,
    })
  }
}

export async function readProblem(response: Response): Promise<Problem> {
  if (isJson(response)) {
    try {
      const document = (await response.json()) as ProblemDocument
      if (document.code && document.title) return new Problem(document)
    } catch {
      // A body that breaks off says no more than its status does.
    }
  }
  return problem('unexpected_answer', strings.problems.unexpected, strings.problems.status(response.status), {
    status: response.status,
    request_id: response.headers.get('x-request-id') ?? undefined,
  })
}

let renewing: Promise<boolean> | undefined

// Single flight: a second use of one refresh token looks like theft to the server.
function renew(): Promise<boolean> {
  renewing ??= fetchOnce('/auth/refresh', { method: 'POST', body: {} })
    .then(async (response) => {
      if (response.ok) return true
      if (response.status === 401 || response.status === 403) return false
      // A server that is busy or away says nothing about the session. One that is being set up knows nobody.
      const refused = await readProblem(response)
      if (refused.code === 'setup_due') return false
      throw refused
    })
    .finally(() => (renewing = undefined))
  return renewing
}
