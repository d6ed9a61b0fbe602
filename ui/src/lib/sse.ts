// Reads server-sent events from a byte stream. EventSource cannot POST, so the bytes come from fetch.

export interface ServerEvent {
  id: string
  event: string
  data: string
}

/** Takes text in pieces cut anywhere and returns the events that are complete. */
export class EventParser {
  #rest = ''
  #id = ''
  #event = ''
  #data: string[] = []

  push(text: string): ServerEvent[] {
    this.#rest += text
    const events: ServerEvent[] = []
    for (;;) {
      const end = this.#rest.search(/[\r\n]/)
      if (end < 0) return events
      // A carriage return at the very end may be the first half of a line break.
      if (this.#rest[end] === '\r' && end === this.#rest.length - 1) return events
      const line = this.#rest.slice(0, end)
      this.#rest = this.#rest.slice(end + (this.#rest.startsWith('\r\n', end) ? 2 : 1))
      const event = this.#take(line)
      if (event) events.push(event)
    }
  }

  #take(line: string): ServerEvent | undefined {
    if (line === '') {
      const event = { id: this.#id, event: this.#event || 'message', data: this.#data.join('\n') }
      const isEmpty = this.#data.length === 0
      this.#event = ''
      this.#data = []
      return isEmpty ? undefined : event
    }
    const colon = line.indexOf(':')
    if (colon === 0) return undefined
    const field = colon < 0 ? line : line.slice(0, colon)
    let value = colon < 0 ? '' : line.slice(colon + 1)
    if (value.startsWith(' ')) value = value.slice(1)
    if (field === 'event') this.#event = value
    else if (field === 'data') this.#data.push(value)
    else if (field === 'id' && !value.includes('\0')) this.#id = value
    return undefined
  }
}

/** The events of a response's body, until it ends or breaks. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const parser = new EventParser()
  const decoder = new TextDecoder()
  const reader = body.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield* parser.push(decoder.decode(value, { stream: true }))
    }
  } finally {
    reader.cancel().catch(() => {})
  }
}
