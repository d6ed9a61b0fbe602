// Addresses and pages, on the History API. A page is found by the first pattern that fits.

import type { Component } from 'svelte'

export interface Route {
  /** `:name` stands for one part of the path. */
  pattern: string
  title: string
  load: () => Promise<{ default: Component<any> }>
  /** Shown without being signed in. */
  isPublic?: boolean
}

export interface Place {
  path: string
  search: URLSearchParams
  hash: string
}

const read = (): Place => ({
  path: location.pathname.replace(/(.)\/+$/, '$1'),
  search: new URLSearchParams(location.search),
  hash: location.hash,
})

let place = $state.raw(read())

export const router = {
  get place() {
    return place
  },
}

export function go(address: string, options: { replace?: boolean } = {}) {
  if (options.replace) history.replaceState(null, '', address)
  else history.pushState(null, '', address)
  place = read()
}

addEventListener('popstate', () => (place = read()))

/** Follows plain clicks on own links without loading the page anew. */
export function followLinks(event: MouseEvent) {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  const link = (event.target as Element | null)?.closest?.('a[href]')
  if (!link || link.hasAttribute('download') || link.hasAttribute('target')) return
  const url = new URL(link.getAttribute('href') ?? '', location.href)
  const isServers = /^\/(api|health|docs|metrics)(\/|$)/.test(url.pathname)
  if (url.origin !== location.origin || isServers) return
  if (url.pathname === location.pathname && url.hash) return
  event.preventDefault()
  go(url.pathname + url.search + url.hash)
}

export function match(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return undefined
  const found: Record<string, string> = {}
  for (const [at, part] of wanted.entries()) {
    const value = given[at] ?? ''
    if (!part.startsWith(':')) {
      if (part !== value) return undefined
      continue
    }
    const text = decoded(value)
    if (text === undefined) return undefined
    found[part.slice(1)] = text
  }
  return found
}

/** `undefined` for what is no text: anyone may write `%zz` into an address. */
function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}
