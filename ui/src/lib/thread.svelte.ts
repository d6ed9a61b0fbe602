// The conversation on the ask page. It lives here, not in the page, so that a question goes on while someone looks at the schema.

import { asProblem, get, post, type Problem } from './api'
import { Asking } from './asking.svelte'
import { go } from './router.svelte'
import type { Conversation, Listing, QueryRecord } from './types'

export type Turn = { key: string; asking: Asking } | { key: string; record: QueryRecord }

export class Thread {
  conversation_id = $state<number>()
  title = $state('')
  turns = $state.raw<Turn[]>([])
  isLoading = $state(false)
  problem = $state.raw<Problem>()
  #beginning: Promise<number> | undefined
  #count = 0

  get working(): Asking | undefined {
    const last = this.turns.at(-1)
    return last && 'asking' in last && last.asking.isWorking ? last.asking : undefined
  }

  ask(question: string, replaced?: Asking) {
    const asking = new Asking(question, () => this.#conversation())
    const turn = { key: `asked-${++this.#count}`, asking }
    this.turns = [...this.turns.filter((one) => !('asking' in one) || one.asking !== replaced), turn]
    asking.run().finally(() => conversations.load())
  }

  async load(id: number): Promise<void> {
    this.conversation_id = id
    this.isLoading = true
    this.problem = undefined
    try {
      const found = await get<Conversation & { turns: Listing<QueryRecord> }>(`/conversations/${id}?limit=500`)
      this.title = found.title ?? ''
      this.turns = found.turns.items.toReversed().map((record) => ({ key: `stored-${record.id}`, record }))
    } catch (error) {
      this.problem = asProblem(error)
    } finally {
      this.isLoading = false
    }
  }

  #conversation(): Promise<number> {
    if (this.conversation_id !== undefined) return Promise.resolve(this.conversation_id)
    this.#beginning ??= post<Conversation>('/conversations').then(
      ({ id }) => {
        this.conversation_id = id
        if (thread.current === this && location.pathname === '/') go(`/conversations/${id}`, { replace: true })
        return id
      },
      (error) => {
        this.#beginning = undefined
        throw error
      },
    )
    return this.#beginning
  }
}

let current = $state.raw(new Thread())

export const thread = {
  get current() {
    return current
  },
}

/** Shows a conversation, or a new one; the one that is shown already stays as it is. */
export function openThread(id: number | undefined) {
  if (current.conversation_id === id && (id !== undefined || current.turns.length === 0)) return
  current = new Thread()
  if (id !== undefined) current.load(id)
}

let items = $state.raw<Conversation[]>([])
let cursor = $state<number | null>(null)

/** The caller's conversations, for the side panel. */
export const conversations = {
  get items() {
    return items
  },
  get hasMore() {
    return cursor !== null
  },
  async load() {
    try {
      const page = await get<Listing<Conversation>>('/conversations?limit=50')
      items = page.items
      cursor = page.next_cursor ?? null
    } catch {
      // The panel is a convenience: what was listed before stays, and the page itself tells of a server that is away.
    }
  },
  async more() {
    if (cursor === null) return
    const page = await get<Listing<Conversation>>(`/conversations?limit=50&cursor=${cursor}`)
    items = [...items, ...page.items]
    cursor = page.next_cursor ?? null
  },
  forget() {
    items = []
    cursor = null
    current = new Thread()
  },
}
