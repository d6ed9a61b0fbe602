// Which page is at which address. Only asking is part of the first load; every other page is a chunk of its own.

import Ask from '../pages/Ask.svelte'
import { match, type Route } from './router.svelte'
import { strings } from './strings'

const ask = { title: strings.nav.ask, load: () => Promise.resolve({ default: Ask }) }
const history = { title: strings.nav.history, load: () => import('../pages/History.svelte') }
const schema = { title: strings.nav.schema, load: () => import('../pages/Schema.svelte') }
const admin = { title: strings.nav.admin, load: () => import('../pages/Admin.svelte') }
const missing: Route = { pattern: '', title: strings.missing.title, load: () => import('../pages/Missing.svelte') }

const routes: Route[] = [
  { pattern: '/', ...ask },
  { pattern: '/conversations/:id', ...ask },
  { pattern: '/history', ...history },
  { pattern: '/history/:id', title: strings.nav.history, load: () => import('../pages/StoredQuery.svelte') },
  { pattern: '/schema', ...schema },
  { pattern: '/schema/:table', ...schema },
  { pattern: '/terms', title: strings.nav.terms, load: () => import('../pages/Terms.svelte') },
  { pattern: '/verified-queries', title: strings.nav.verified, load: () => import('../pages/VerifiedQueries.svelte') },
  { pattern: '/workbench', title: strings.nav.workbench, load: () => import('../pages/Workbench.svelte') },
  { pattern: '/account', title: strings.nav.account, load: () => import('../pages/Account.svelte') },
  { pattern: '/admin', ...admin },
  { pattern: '/admin/:tab', ...admin },
  { pattern: '/sign-in', title: strings.signIn.title, load: () => import('../pages/SignIn.svelte'), isPublic: true },
  { pattern: '/setup', title: strings.setup.title, load: () => import('../pages/Setup.svelte'), isPublic: true },
  { pattern: '/forgot-password', title: strings.forgot.title, load: () => import('../pages/ForgotPassword.svelte'), isPublic: true },
  { pattern: '/reset-password', title: strings.reset.title, load: () => import('../pages/ResetPassword.svelte'), isPublic: true },
  { pattern: '/accept-invitation', title: strings.accept.title, load: () => import('../pages/AcceptInvitation.svelte'), isPublic: true },
]

export function pageOf(path: string): { route: Route; values: Record<string, string> } {
  for (const route of routes) {
    const values = match(route.pattern, path)
    if (values) return { route, values }
  }
  return { route: missing, values: {} }
}
