// Places tables in rows by what they refer to: a table stands below all tables it points at. A join that passes a row gets a
// place of its own in it, so that no line runs behind a table.

import type { CatalogTable } from './types'

export interface PlacedTable {
  table: CatalogTable
  x: number
  y: number
}

export interface PlacedJoin {
  from: string
  to: string
  label: string
  path: string
  isInferred: boolean
}

export interface Diagram {
  width: number
  height: number
  tables: PlacedTable[]
  joins: PlacedJoin[]
}

export const box = { width: 192, height: 50 }
const lane_width = 14
const gap = { x: 26, y: 54 }
const margin = 18

/** What takes up room in a row: a table, or a join on its way through. */
interface Stop {
  table?: CatalogTable
  x: number
  row: number
  neighbours: Stop[]
}

interface Way {
  key: CatalogTable['foreign_keys'][number]
  from: CatalogTable
  stops: Stop[]
}

export function layOut(all: CatalogTable[]): Diagram {
  const byName = new Map(all.map((table) => [table.name, table]))
  const joined = new Set<string>()
  for (const table of all) {
    for (const key of table.foreign_keys) if (byName.has(key.table)) joined.add(table.name).add(key.table)
  }
  const rows: Stop[][] = []
  const stops = new Map<string, Stop>()
  const put = (row: number, table?: CatalogTable): Stop => {
    const stop: Stop = { table, x: 0, row, neighbours: [] }
    while (rows.length <= row) rows.push([])
    rows[row]?.push(stop)
    return stop
  }
  for (const table of all) {
    if (joined.has(table.name)) stops.set(table.name, put(rowOf(table, byName, new Set()), table))
  }
  const ways = all.flatMap((table) => waysOf(table, stops, put))
  order(rows)

  const width = Math.max(box.width, ...rows.map(widthOf))
  for (const row of rows) {
    let x = margin + (width - widthOf(row)) / 2
    for (const stop of row) {
      const room = stop.table ? box.width : lane_width
      stop.x = x + room / 2
      x += room + gap.x
    }
  }
  const top = (row: number) => margin + row * (box.height + gap.y)
  const tables = [...stops.values()].map((stop) => ({ table: stop.table as CatalogTable, x: stop.x - box.width / 2, y: top(stop.row) }))

  // Tables without a join stand below all others, as many in a line as there is room for.
  const rest = all.filter((table) => !joined.has(table.name))
  const inLine = Math.max(1, Math.floor((width + gap.x) / (box.width + gap.x)))
  for (const [at, table] of rest.entries()) {
    const line = Math.floor(at / inLine)
    tables.push({ table, x: margin + (at % inLine) * (box.width + gap.x), y: top(rows.length) + line * (box.height + gap.x) })
  }
  return {
    width: width + margin * 2 + 24,
    height: Math.max(0, ...tables.map((one) => one.y)) + box.height + margin,
    tables,
    joins: ways.map((way) => drawn(way, top)),
  }
}

const widthOf = (row: Stop[]) =>
  row.reduce((sum, stop) => sum + (stop.table ? box.width : lane_width), 0) + Math.max(0, row.length - 1) * gap.x

function rowOf(table: CatalogTable, byName: Map<string, CatalogTable>, seen: Set<string>): number {
  let row = 0
  const path = new Set(seen).add(table.name)
  for (const key of table.foreign_keys) {
    const target = byName.get(key.table)
    if (target && !path.has(target.name)) row = Math.max(row, 1 + rowOf(target, byName, path))
  }
  return row
}

function waysOf(table: CatalogTable, stops: Map<string, Stop>, put: (row: number) => Stop): Way[] {
  const ways: Way[] = []
  const from = stops.get(table.name)
  for (const key of table.foreign_keys) {
    const to = stops.get(key.table)
    if (!from || !to) continue
    const way = [to]
    for (let row = to.row + 1; row < from.row; row++) way.push(put(row))
    way.push(from)
    for (const [at, stop] of way.entries()) {
      const next = way[at + 1]
      if (!next || next === stop) continue
      stop.neighbours.push(next)
      next.neighbours.push(stop)
    }
    ways.push({ key, from: table, stops: way })
  }
  return ways
}

/** Fewer crossings: each stop moves to the middle of what it is joined with, a few times up and down. */
function order(rows: Stop[][]) {
  const rank = new Map<Stop, number>()
  const remember = (row: Stop[]) => row.forEach((stop, at) => rank.set(stop, (at + 0.5) / row.length))
  rows.forEach(remember)
  for (let sweep = 0; sweep < 8; sweep++) {
    for (const row of sweep % 2 ? rows.toReversed() : rows) {
      const wish = new Map(
        row.map((stop) => {
          const known = stop.neighbours.map((one) => rank.get(one) ?? 0.5)
          return [stop, known.length ? known.reduce((sum, one) => sum + one, 0) / known.length : (rank.get(stop) ?? 0.5)]
        }),
      )
      row.sort((one, other) => (wish.get(one) ?? 0) - (wish.get(other) ?? 0))
      remember(row)
    }
  }
}

function drawn({ key, from, stops }: Way, top: (row: number) => number): PlacedJoin {
  const label = key.columns.map((column, at) => `${from.name}.${column} → ${key.table}.${key.referenced[at] ?? ''}`).join(', ')
  const [first, ...others] = stops as [Stop, ...Stop[]]
  const last = others.at(-1) ?? first
  let path: string
  if (first === last) {
    const right = first.x + box.width / 2
    path = `M${right} ${top(first.row) + 15}c28 -4 28 24 0 20`
  } else if (last.row <= first.row) {
    // Part of a circle of references: around the side.
    const side = Math.max(first.x, last.x) + box.width / 2 + 24
    const [start, end] = [top(last.row) + box.height / 2, top(first.row) + box.height / 2]
    path = `M${last.x + box.width / 2} ${start}C${side} ${start} ${side} ${end} ${first.x + box.width / 2} ${end}`
  } else {
    path = `M${first.x} ${top(first.row) + box.height}`
    let [x, y] = [first.x, top(first.row) + box.height]
    for (const stop of others) {
      const next = top(stop.row)
      const middle = (y + next) / 2
      path += `C${x} ${middle} ${stop.x} ${middle} ${stop.x} ${next}`
      if (!stop.table) path += `V${next + box.height}`
      x = stop.x
      y = next + box.height
    }
  }
  return { from: from.name, to: key.table, label, path, isInferred: key.inferred }
}
