// Places tables in columns by what they refer to: a table stands right of all tables it points at.

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

export const box = { width: 190, height: 50 }
const gap = { x: 96, y: 22 }
const margin = 16

export function layOut(all: CatalogTable[]): Diagram {
  const byName = new Map(all.map((table) => [table.name, table]))
  const joined = new Set<string>()
  for (const table of all) {
    for (const key of table.foreign_keys) {
      if (!byName.has(key.table)) continue
      joined.add(table.name).add(key.table)
    }
  }
  const layers: CatalogTable[][] = []
  for (const table of all) {
    if (joined.has(table.name)) (layers[levelOf(table, byName, new Set())] ??= []).push(table)
  }
  for (let at = 0; at < layers.length; at++) layers[at] ??= []
  orderLayers(layers)

  const tallest = Math.max(1, ...layers.map((layer) => layer.length))
  const places = new Map<string, PlacedTable>()
  for (const [column, layer] of layers.entries()) {
    const above = ((tallest - layer.length) * (box.height + gap.y)) / 2
    for (const [row, table] of layer.entries()) {
      const x = margin + column * (box.width + gap.x)
      places.set(table.name, { table, x, y: margin + above + row * (box.height + gap.y) })
    }
  }
  const columns = Math.max(layers.length, 1)
  const rest = all.filter((table) => !joined.has(table.name))
  const below = layers.length ? margin + tallest * (box.height + gap.y) + gap.y : margin
  for (const [at, table] of rest.entries()) {
    const x = margin + (at % columns) * (box.width + gap.x)
    places.set(table.name, { table, x, y: below + Math.floor(at / columns) * (box.height + gap.y) })
  }
  const tables = [...places.values()]
  return {
    width: margin * 2 + columns * box.width + (columns - 1) * gap.x + 40,
    height: Math.max(...tables.map((one) => one.y), 0) + box.height + margin,
    tables,
    joins: all.flatMap((table) => joinsOf(table, places)),
  }
}

function levelOf(table: CatalogTable, byName: Map<string, CatalogTable>, seen: Set<string>): number {
  if (seen.has(table.name)) return 0
  seen.add(table.name)
  let level = 0
  for (const key of table.foreign_keys) {
    const target = byName.get(key.table)
    if (target && target !== table && !seen.has(target.name)) level = Math.max(level, 1 + levelOf(target, byName, new Set(seen)))
  }
  return level
}

/** Fewer crossings: each table moves to the middle of what it is joined with, a few times back and forth. */
function orderLayers(layers: CatalogTable[][]) {
  const rank = new Map<string, number>()
  const remember = () => {
    for (const layer of layers) {
      for (const [row, table] of layer.entries()) rank.set(table.name, (row + 0.5) / layer.length)
    }
  }
  const neighbours = new Map<string, string[]>()
  for (const table of layers.flat()) {
    for (const key of table.foreign_keys) {
      if (key.table === table.name) continue
      neighbours.set(table.name, [...(neighbours.get(table.name) ?? []), key.table])
      neighbours.set(key.table, [...(neighbours.get(key.table) ?? []), table.name])
    }
  }
  for (let sweep = 0; sweep < 6; sweep++) {
    remember()
    const order = sweep % 2 ? layers.toReversed() : layers
    for (const layer of order) {
      const wish = (table: CatalogTable) => {
        const known = (neighbours.get(table.name) ?? []).map((name) => rank.get(name) ?? 0.5)
        return known.length ? known.reduce((sum, one) => sum + one, 0) / known.length : 0.5
      }
      const wishes = new Map(layer.map((table) => [table.name, wish(table)]))
      layer.sort((one, other) => (wishes.get(one.name) ?? 0) - (wishes.get(other.name) ?? 0))
      for (const [row, table] of layer.entries()) rank.set(table.name, (row + 0.5) / layer.length)
    }
  }
}

function joinsOf(table: CatalogTable, places: Map<string, PlacedTable>): PlacedJoin[] {
  const joins: PlacedJoin[] = []
  for (const key of table.foreign_keys) {
    const from = places.get(table.name)
    const to = places.get(key.table)
    if (!from || !to) continue
    const label = key.columns.map((column, at) => `${table.name}.${column} → ${key.table}.${key.referenced[at] ?? ''}`).join(', ')
    const start_y = from.y + box.height / 2
    const end_y = to.y + box.height / 2
    const right = to.x + box.width
    let path: string
    if (from === to) {
      path = `M${right} ${start_y - 10}c30 -6 30 26 0 20`
    } else if (right <= from.x) {
      const bend = Math.max(40, (from.x - right) / 2)
      path = `M${from.x} ${start_y}C${from.x - bend} ${start_y} ${right + bend} ${end_y} ${right} ${end_y}`
    } else {
      const far = Math.max(from.x, to.x) + box.width + 36
      path = `M${from.x + box.width} ${start_y}C${far} ${start_y} ${far} ${end_y} ${right} ${end_y}`
    }
    joins.push({ from: table.name, to: key.table, label, path, isInferred: key.inferred })
  }
  return joins
}
