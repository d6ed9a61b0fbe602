// Checks that an audit entry is part of a sealed block: RFC 9162, section 2.1.3.2.

import type { InclusionProof } from './admin-types'

const fromHex = (text: string) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16))
const toHex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

async function sha256(...parts: Uint8Array[]): Promise<Uint8Array> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', all))
}

/** Whether entry, leaf and path lead to the seal's root; undefined where the browser cannot hash (no TLS, not this machine). */
export async function includes(proof: InclusionProof): Promise<boolean | undefined> {
  if (!globalThis.crypto?.subtle) return undefined
  const hash = await sha256(new TextEncoder().encode(proof.canonical))
  const id = new Uint8Array(8)
  new DataView(id.buffer).setBigUint64(0, BigInt(proof.entry_id))
  if (toHex(hash) !== proof.hash || toHex(id) + proof.hash !== proof.leaf) return false
  if (proof.index >= proof.block_size) return false

  let index = proof.index
  let last = proof.block_size - 1
  let node = await sha256(Uint8Array.of(0), fromHex(proof.leaf))
  for (const sibling of proof.proof.map(fromHex)) {
    if (last === 0) return false
    if (index % 2 === 1 || index === last) {
      node = await sha256(Uint8Array.of(1), sibling, node)
      while (index % 2 === 0 && index !== 0) {
        index >>>= 1
        last >>>= 1
      }
    } else {
      node = await sha256(Uint8Array.of(1), node, sibling)
    }
    index >>>= 1
    last >>>= 1
  }
  return last === 0 && toHex(node) === proof.seal.root
}
