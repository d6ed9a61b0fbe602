// The first start, as the server tells it and is told.

import { problem, readProblem, request } from './api'
import { strings } from './strings'

export interface Doing {
  what: string
  done: number
  /** 0 where nothing is counted. */
  total: number
}

export interface SetupStatus {
  administrator: string | null
  has_model: boolean
  fetching: Doing | null
  copying: Doing | null
  target: { name: string; tables: number; rows: number } | null
  problem: { code: string; message: string; hint: string | null } | null
}

/** Speaks with the server that is being set up; `code` comes from the terminal. */
export class SetupApi {
  #headers: Record<string, string>

  constructor(code: string) {
    this.#headers = { 'x-setup-code': code }
  }

  status = () => request<SetupStatus>('/setup', { headers: this.#headers, isPublic: true })

  send = (path: string, body: unknown = {}) =>
    request<void>(`/setup/${path}`, { method: 'POST', body, headers: this.#headers, isPublic: true })

  /** Sends a file as it is. `fetch` does not tell how much has left, so this is the older way. */
  upload(file: File, report: (doing: Doing) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const sending = new XMLHttpRequest()
      sending.open('POST', '/api/v1/setup/upload')
      for (const [name, value] of Object.entries(this.#headers)) sending.setRequestHeader(name, value)
      sending.upload.addEventListener('progress', ({ loaded, total }) => report({ what: 'sending', done: loaded, total }))
      sending.addEventListener('error', () => reject(unreachable('upload_lost', strings.setup.uploadLost)))
      sending.addEventListener('load', async () => {
        if (sending.status < 300) return resolve()
        const type = sending.getResponseHeader('content-type') ?? ''
        reject(await readProblem(new Response(sending.responseText, { status: sending.status, headers: { 'content-type': type } })))
      })
      sending.send(file)
    })
  }
}

/** Waits until the server that takes over answers. */
export async function whenReady(): Promise<void> {
  for (let tries = 0; tries < 240; tries++) {
    const answer = await fetch('/health/ready').catch(() => undefined)
    if (answer?.ok) return
    await new Promise((again) => setTimeout(again, 500))
  }
  throw unreachable('server_unreachable', strings.problems.unreachable)
}

const unreachable = (code: string, title: string) =>
  problem(code, title, strings.problems.unreachableDetail, { hint: strings.problems.unreachableHint })
