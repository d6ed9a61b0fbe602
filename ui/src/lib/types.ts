// The shapes of the HTTP interface, as `/api/v1/openapi.json` describes them.

export type Role = 'viewer' | 'analyst' | 'admin'
/** `bigint`: a whole number that a number would round. */
export type Cell = string | number | bigint | boolean | null

export interface Listing<T> {
  items: T[]
  next_cursor?: number | null
}

export interface User {
  id: number
  email: string
  full_name: string
  role: Role
  is_active: boolean
  last_login?: string | null
  last_query_at?: string | null
  created_at: string
}

export interface ProblemDocument {
  type: string
  title: string
  status: number
  detail: string
  code: string
  hint?: string | null
  request_id?: string
  query_id?: number | null
  sql?: string | null
  choices?: { reading: string; sql: string }[]
}

export interface ResultColumn {
  name: string
  type: string
}

export interface ChartOption {
  kind: string
  title: string
  spec: Record<string, unknown> | null
}

export interface Chart {
  kind: string
  why: string
  options: ChartOption[]
  truncated: boolean
}

export interface Assumption {
  kind: 'filter' | 'join' | 'measure' | 'grouping' | 'order'
  text: string
  sql: string
}

export type Origin =
  | { kind: 'generated' }
  | { kind: 'verified_query'; id: number }
  | { kind: 'semantic_cache'; is_exact: boolean }

export interface Answer {
  query_id: number
  question: string
  conversation_id?: number | null
  understood_as?: string | null
  sql: string
  columns: ResultColumn[]
  rows: Cell[][]
  /** Only in a stream: how many rows its pages bring. */
  row_count?: number
  truncated: boolean
  sentence: string
  tables: string[]
  terms: string[]
  reading: { sentence: string; assumptions: Assumption[] }
  confidence?: number | null
  signals: { drawn: number; agreeing: number; findings: string[]; corrected: boolean }
  corrections: string[]
  doubts: string[]
  verified_queries: { id: number; question: string }[]
  values: { table: string; column: string; value: string; words: string }[]
  origin: Origin
  degraded: { part: string; code: string; message: string }[]
  repairs: number
  data_as_of: string
  copied_at: string
  original_changed: boolean
  model: { name: string; hash: string; is_remote: boolean }
  values_sent: string
  timings_ms: Record<string, number>
  tokens: { prompt: number; prompt_reused: number; prompt_prefix: number; generated: number }
  receipt: Record<string, string | number>
  chart?: Chart | null
  /** Why no row matches; null also where that could not be told quickly. */
  no_rows?: { reason: string; text: string; conditions: string[] } | null
}

export type QueryStatus = 'pending' | 'success' | 'error'

export interface QueryRecord {
  id: number
  user_id: number
  question?: string | null
  understood_as?: string | null
  sql?: string | null
  status: QueryStatus
  error_code?: string | null
  error_message?: string | null
  conversation_id?: number | null
  result_count?: number | null
  duration_ms?: number | null
  rating?: number | null
  cached: boolean
  generator?: string | null
  created_at: string
  receipt?: Record<string, string | number> | null
}

export interface Feedback {
  id: number
  query_id: number
  user_id: number
  rating: number
  comment?: string | null
  created_at: string
}

export interface Conversation {
  id: number
  title?: string | null
  created_at: string
  updated_at: string
}

export interface CatalogColumn {
  name: string
  declared_type: string
  description?: string | null
  not_null: boolean
  null_share?: number | null
  distinct?: number | null
  samples: string[]
}

export interface CatalogKey {
  columns: string[]
  table: string
  referenced: string[]
  inferred: boolean
}

export interface CatalogTable {
  name: string
  kind: 'table' | 'view' | 'virtual'
  row_count?: number | null
  primary_key: string[]
  foreign_keys: CatalogKey[]
  columns: CatalogColumn[]
}

export interface Catalog {
  data_as_of: string
  copy_fingerprint: string
  tables: CatalogTable[]
}

export interface BusinessTerm {
  id: number
  term_name: string
  description: string
  synonyms: string[]
  data_source?: string | null
  owner?: string | null
  updated_at: string
}

export interface VerifiedQuery {
  id: number
  question: string
  sql: string
  status: 'proposed' | 'approved' | 'rejected'
  proposed_by?: number | null
  approved_by?: number | null
  review_comment?: string | null
  check_error?: string | null
  last_checked_at?: string | null
  created_at: string
  updated_at: string
}

export interface PlanStep {
  detail: string
  source?: string | null
  index?: string | null
  uses_index: boolean
  steps: PlanStep[]
}

export interface Validated {
  sql: string
  tables: string[]
}

export interface ApiKey {
  id: number
  name: string
  scope: Role
  created_at: string
  expires_at?: string | null
  last_used_at?: string | null
  revoked_at?: string | null
}

export interface Suggestion {
  question: string
  source: 'verified_query' | 'schema'
}
