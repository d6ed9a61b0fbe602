// Pure rules, tried without a browser.

import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { expect, test } from '@playwright/test'
import { includes } from '../src/lib/merkle'
import { layOut } from '../src/lib/schema-layout'
import { EventParser, type ServerEvent } from '../src/lib/sse'
import { laidOut, tokensOf } from '../src/lib/sql-tokens'

test.describe('events', () => {
  const text =
    ': a comment\r\nid: 1\r\nevent: begun\r\ndata: {"query_id":7}\r\n\r\n' +
    'id: 2\nevent: state\ndata: {"state":"søking"}\n\n' +
    'id:3\ndata:one\ndata: two\n\n' +
    'event: empty\n\n' +
    'id: 4\revent: finished\rdata: {}\r\r'
  const expected: ServerEvent[] = [
    { id: '1', event: 'begun', data: '{"query_id":7}' },
    { id: '2', event: 'state', data: '{"state":"søking"}' },
    { id: '3', event: 'message', data: 'one\ntwo' },
    { id: '4', event: 'finished', data: '{}' },
  ]

  test('are the same wherever the stream is cut in two', () => {
    for (let cut = 0; cut <= text.length; cut++) {
      const parser = new EventParser()
      // One character more, so that the last carriage return is known not to be half of a line break.
      expect([...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut)), ...parser.push(':\n')]).toEqual(expected)
    }
  })

  test('are the same character by character', () => {
    const parser = new EventParser()
    expect([...text, ':', '\n'].flatMap((character) => parser.push(character))).toEqual(expected)
  })

  test('that are not complete are not given out', () => {
    expect(new EventParser().push('id: 1\nevent: begun\ndata: {}\n')).toEqual([])
  })
})

test.describe('SQL tokens', () => {
  const statements = [
    `SELECT "a b", [c], 'it''s', 1.5e3 -- why\nFROM t /* never ended`,
    `select count(*) from ünïcode where x = 'open`,
    '',
    '💥 \u0000 <script>alert(1)</script>',
  ]
  test('lose no character', () => {
    for (const sql of statements) expect(tokensOf(sql).map((token) => token.text).join('')).toBe(sql)
  })

  test('know keywords, functions and strings', () => {
    const kinds = Object.fromEntries(tokensOf(`SELECT count(x) FROM t WHERE a = 'FROM'`).map(({ text, kind }) => [text, kind]))
    expect(kinds).toMatchObject({ SELECT: 'keyword', count: 'function', t: 'name', "'FROM'": 'string' })
  })

  test('lay out long statements by clause and leave the words alone', () => {
    const sql = `SELECT a, (SELECT max(b) FROM u WHERE u.x = t.x) FROM t LEFT JOIN v ON v.y = t.y WHERE a > 1 ORDER BY a`
    expect(laidOut(sql).split('\n').map((line) => line.split(' ')[0])).toEqual(['SELECT', 'FROM', 'LEFT', 'WHERE', 'ORDER'])
    expect(laidOut(sql).replace(/\s+/g, ' ')).toBe(sql)
  })
})

test('a diagram places a table below all it points at, survives circles and overlaps nothing', () => {
  const table = (name: string, ...targets: string[]) => ({
    name,
    kind: 'table' as const,
    primary_key: [],
    columns: [],
    foreign_keys: targets.map((target) => ({ columns: ['x'], table: target, referenced: ['id'], inferred: false })),
  })
  const all = [table('lines', 'orders', 'products'), table('orders', 'people'), table('people', 'people'), table('products')]
  const circle = [table('a', 'b'), table('b', 'a'), table('alone'), table('lost', 'not there')]
  for (const tables of [all, circle, []]) {
    const { tables: placed } = layOut(tables)
    expect(placed).toHaveLength(tables.length)
    expect(new Set(placed.map(({ x, y }) => `${x} ${y}`)).size).toBe(tables.length)
  }
  const y = Object.fromEntries(layOut(all).tables.map((one) => [one.table.name, one.y]))
  expect(y.orders).toBeGreaterThan(y.people ?? 0)
  expect(y.lines).toBeGreaterThan(y.orders ?? 0)
})

test('an audit proof that was changed anywhere is not believed', async () => {
  const hex = (buffer: ArrayBuffer) => Buffer.from(buffer).toString('hex')
  const sha = async (...parts: Uint8Array[]) => new Uint8Array(await crypto.subtle.digest('SHA-256', Buffer.concat(parts)))
  const canonical = '{"action":"login"}'
  const hash = hex((await sha(new TextEncoder().encode(canonical))).buffer)
  const leaf = '0000000000000005' + hash
  const node = await sha(Uint8Array.of(0), Buffer.from(leaf, 'hex'))
  const sibling = await sha(Uint8Array.of(0), Uint8Array.of(9))
  const root = hex((await sha(Uint8Array.of(1), sibling, node)).buffer)
  const seal = { number: 1, first_row: 4, last_row: 5, row_count: 2, root, previous: '', sealed_at: '', key_id: '', signature: '', hash: '' }
  const proof = { entry_id: 5, canonical, hash, leaf, index: 1, block_size: 2, proof: [hex(sibling.buffer)], seal }
  expect(await includes(proof)).toBe(true)
  const changes = [{ canonical: '{"action":"logout"}' }, { entry_id: 6 }, { index: 0 }, { index: 2 }, { proof: [] }, { block_size: 1 }]
  for (const change of changes) expect(await includes({ ...proof, ...change })).toBe(false)
})

test('the first load has at most 120 KB of compressed JavaScript', () => {
  const page = readFileSync('dist/index.html', 'utf8')
  const files = [...page.matchAll(/(?:src|href)="\/([^"]+\.js)"/g)].map((found) => found[1])
  expect(files.length).toBeGreaterThan(0)
  const size = files.reduce((sum, file) => sum + gzipSync(readFileSync(`dist/${file}`)).length, 0)
  console.log(`first load: ${(size / 1024).toFixed(1)} KB of JavaScript, ${readdirSync('dist/assets').length} files in all`)
  expect(size).toBeLessThanOrEqual(120 * 1024)
})
