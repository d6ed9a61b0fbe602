import { router } from './router.svelte'

/** The token of a letter's link. It stands behind `#`, which browsers send to no server; `?token=` is taken too. */
export function letterToken(): string {
  const { hash, search } = router.place
  return new URLSearchParams(hash.slice(1)).get('token') ?? search.get('token') ?? ''
}
