// The shapes that only administrators' pages use.

import type { Role } from './types'

export interface Invitation {
  id: number
  email: string
  role: Role
  created_at: string
  expires_at: string
  accepted_at?: string | null
  withdrawn_at?: string | null
}

export interface Setting {
  key: string
  value?: string | null
  description?: string | null
  is_secret: boolean
  is_set: boolean
  updated_at: string
}

export interface AuditRecord {
  id: number
  user_id?: number | null
  action: string
  resource: string
  resource_id?: number | null
  changes: unknown
  timestamp: string
}

export interface SealDocument {
  number: number
  first_row: number
  last_row: number
  row_count: number
  root: string
  previous: string
  sealed_at: string
  key_id: string
  signature: string
  hash: string
}

export interface Sealing {
  last?: SealDocument | null
  unsealed: number
  unsealed_since?: string | null
}

export interface InclusionProof {
  entry_id: number
  canonical: string
  hash: string
  leaf: string
  index: number
  block_size: number
  proof: string[]
  seal: SealDocument
}

export interface Policy {
  id: number
  role: Role
  table_name: string
  column_name?: string | null
  created_at: string
  is_present?: boolean | null
}

export interface Generation {
  fingerprint: string
  data_as_of: string
  copied_at: string
  size_bytes: number
  tables: number
  rows: number
}

export interface Target {
  original: string
  original_state?: string | null
  working_copy: string
  in_service?: Generation | null
  generations: Generation[]
}

export interface IndexStatus {
  embedder?: { name: string; hash: string; is_remote: boolean } | null
  collections: {
    collection: string
    documents: number
    state: 'fresh' | 'stale' | 'missing'
    manifest?: { indexed_at: string } | null
  }[]
}

export interface Backup {
  name: string
  created_at: string
  store: string
  size_bytes: number
  hash: string
  schema_version: string
  row_counts: Record<string, number>
}

export interface VerifiedBackup {
  backup: Backup
  seals: number
  sealed: number
  unsealed: number
}

export type JobKind = 'index' | 'backup' | 'purge' | 'retention' | 'reverify'

export interface Job {
  id: string
  job: { kind: JobKind }
  status: 'queued' | 'running' | 'done' | 'failed' | 'cancelled'
  attempts: number
  progress?: { done: number; total: number; what: string } | null
  message?: string | null
  enqueued_at: string
  started_at?: string | null
  finished_at?: string | null
}

export interface Component {
  state: string
  detail?: string | null
}

export interface Ready {
  status: string
  [part: string]: Component | string
}
