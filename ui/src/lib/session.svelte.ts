// Who is signed in.

import { get, onSignedOut, post, postEmpty, Problem, request } from './api'
import { draft } from './draft'
import { go, router } from './router.svelte'
import { conversations } from './thread.svelte'
import type { Role, User } from './types'

// Who was signed in last in this tab. Beside the draft, so that a reload does not hand the one to somebody without the other.
const last = 'assay.person'

const ranks: Record<Role, number> = { viewer: 0, analyst: 1, admin: 2 }

let user = $state.raw<User | null>(null)
let isKnown = $state(false)

export const session = {
  get user() {
    return user
  },
  set user(value: User | null) {
    user = value
  },
  /** False until the server said who this is. */
  get isKnown() {
    return isKnown
  },
  may(role: Role) {
    return user !== null && ranks[user.role] >= ranks[role]
  },
}

/** Asks the server who this is. Not being signed in is an answer; anything else that goes wrong is thrown. */
export async function recognise(): Promise<void> {
  try {
    arrive(await get<User>('/me'))
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 401) throw error
    isKnown = true
  }
}

export async function signIn(email: string, password: string): Promise<void> {
  await request('/auth/login', { method: 'POST', body: { email, password, cookie: true }, isPublic: true })
  const found = await get<User>('/me')
  // The address to go back to was left by the one before.
  if (isSomebodyElse(found)) go('/sign-in', { replace: true })
  arrive(found)
}

// Whoever comes back after a session that ran out finds everything as it was; nobody else may.
function arrive(found: User) {
  if (isSomebodyElse(found)) forget()
  sessionStorage.setItem(last, String(found.id))
  user = found
  isKnown = true
}

function isSomebodyElse({ id }: User): boolean {
  const before = sessionStorage.getItem(last)
  return before !== null && before !== String(id)
}

function forget() {
  conversations.forget()
  draft.forget()
  sessionStorage.removeItem(last)
}

export async function signOut(everywhere = false): Promise<void> {
  if (everywhere) await post('/auth/logout-all')
  else await postEmpty('/auth/logout')
  user = null
  forget()
  go('/sign-in')
}

/** Where to go after signing in: a path of this site only, so that a link cannot send people elsewhere. */
export function returnPath(): string {
  const wanted = router.place.search.get('return') ?? '/'
  return /^\/(?![/\\])/.test(wanted) ? wanted : '/'
}

export function signInAddress(): string {
  const here = location.pathname + location.search
  return here === '/' ? '/sign-in' : `/sign-in?return=${encodeURIComponent(here)}`
}

onSignedOut(() => {
  if (user === null) return
  user = null
  go(signInAddress(), { replace: true })
})
