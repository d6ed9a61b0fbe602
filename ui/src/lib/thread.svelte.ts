// The conversation on the ask page. It lives here, not in the page, so that a question goes on while someone looks at the schema.

import { asProblem, get, post, type Problem } from './api'
import { Asking } from './asking.svelte'
import { go } from './router.svelte'
import type { Conversation, Listing, QueryRecord } from './types'

export type Turn = { key: string; asking: Asking } | { key: string; record: QueryRecord }

export class Thread {
  conversation_id = $state<number>()
  title = $state('')
  // Apart, so that what is asked while the conversation is still on its way stands below it when it comes, and stands there once.
  #stored = $state.raw<QueryRecord[]>([])
  #asked = $state.raw<{ key: string; asking: Asking }[]>([])
  isLoading = $state(false)
  problem = $state.raw<Problem>()
  #beginning: Promise<number> | undefined
  #count = 0

  constructor(conversation_id?: number) {
    this.conversation_id = conversation_id
  }

  // No $derived: that would end with the page that opened the conversation.
  get turns(): Turn[] {
    const asked = new Set(this.#asked.map(({ asking }) => asking.query_id))
    const before = this.#stored.filter(({ id }) => !asked.has(id))
    return [...before.map((record) => ({ key: `stored-${record.id}`, record })), ...this.#asked]
  }

  get working(): Asking | undefined {
    const last = this.#asked.at(-1)
    return last?.asking.isWorking ? last.asking : undefined
  }

  ask(question: string, replaced?: Asking) {
    const asking = new Asking(question, () => this.#conversation())
    this.#asked = [...this.#asked.filter((one) => one.asking !== replaced), { key: `asked-${++this.#count}`, asking }]
    asking.run().finally(() => conversations.load())
  }

  /** Fetches what was asked in this conversation before. */
  async load(): Promise<void> {
    this.isLoading = true
    this.problem = undefined
    try {
      const found = await get<Conversation & { turns: Listing<QueryRecord> }>(`/conversations/${this.conversation_id}?limit=500`)
      this.title = found.title ?? ''
      this.#stored = found.turns.items.toReversed()
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

/** Shows a conversation, or a new one; the one that is shown already stays as it is, unless it could not be opened. */
export function openThread(id: number | undefined) {
  const isShown = current.conversation_id === id && (id !== undefined || current.turns.length === 0)
  if (isShown && !current.problem) return
  if (!isShown) current = new Thread(id)
  if (id !== undefined) current.load()
}

let items = $state.raw<Conversation[]>([])
let cursor = $state<number | null>(null)
// Only the newest look counts: an older one may come in late, even for somebody who has signed out since.
let look = 0

/** The caller's conversations, for the side panel. */
export const conversations = {
  get items() {
    return items
  },
  get hasMore() {
    return cursor !== null
  },
  async load() {
    const mine = ++look
    try {
      const page = await get<Listing<Conversation>>('/conversations?limit=50')
      if (mine !== look) return
      items = page.items
      cursor = page.next_cursor ?? null
    } catch {
      // The panel is a convenience: what was listed before stays, and the page itself tells of a server that is away.
    }
  },
  async more() {
    if (cursor === null) return
    const mine = ++look
    const page = await get<Listing<Conversation>>(`/conversations?limit=50&cursor=${cursor}`)
    if (mine !== look) return
    items = [...items, ...page.items]
    cursor = page.next_cursor ?? null
  },
  /** For when somebody else comes: nothing of what was asked stays. */
  forget() {
    look++
    items = []
    cursor = null
    current = new Thread()
  },
}
