// Numbers, dates and cell values in words that people read.

import { strings } from './strings'
import type { Cell, ResultColumn } from './types'

const locale = navigator.language
const whole = new Intl.NumberFormat(locale)
const dateTime = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' })
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })

export const number = (value: number) => whole.format(value)

export function moment(value: string | null | undefined): string {
  if (!value) return ''
  const date = new Date(value)
  return Number.isNaN(date.getTime()) ? value : dateTime.format(date)
}

const units: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
]

export function ago(value: string): string {
  const seconds = (new Date(value).getTime() - Date.now()) / 1000
  for (const [unit, size] of units) {
    if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit)
  }
  return strings.justNow
}

export function duration(ms: number): string {
  if (ms < 1) return `${ms.toFixed(2)} ms`
  if (ms < 1000) return `${Math.round(ms)} ms`
  const seconds = ms / 1000
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
}

export function bytes(size: number): string {
  const steps = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte']
  let step = 0
  while (size >= 1000 && step < steps.length - 1) {
    size /= 1000
    step++
  }
  return new Intl.NumberFormat(locale, { style: 'unit', unit: steps[step], maximumFractionDigits: 1 }).format(size)
}

export const percent = (share: number) =>
  new Intl.NumberFormat(locale, { style: 'percent', ...(share > 0 && share < 0.1 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 0 }) }).format(share)

/** Spaces instead of underscores, a capital first: `order_count` reads `Order count`. */
export function humanName(name: string): string {
  const words = name.replaceAll('_', ' ').trim()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

// A thousands separator makes nonsense of keys, years and codes.
const unseparated = /(^|[_\s])(id|year|code|number|no|nr|zip|postcode|version|month)$/i

export const isNumber = (cell: Cell | undefined): cell is number | bigint => typeof cell === 'number' || typeof cell === 'bigint'

/** How a column's cells are written: one number of decimals for the whole column, so that digits line up. */
export interface ColumnFormat {
  isNumeric: boolean
  write: (cell: Cell) => string
  /** The whole value, where what is written is rounded. */
  full: (cell: Cell) => string | undefined
}

const decimals_at_most = 4
// Below this the zeros after the point are more than anyone counts.
const countable = 1e-9

export function columnFormat(column: ResultColumn, rows: Cell[][], at: number): ColumnFormat {
  const plain = (cell: Cell) => (cell === null ? '' : String(cell))
  const cells = rows.slice(0, 500).flatMap((row) => row[at] ?? [])
  if (!cells.length || !cells.every(isNumber)) return { isNumeric: false, write: plain, full: () => undefined }

  const decimals = Math.min(decimals_at_most, Math.max(...cells.map(decimalsOf)))
  const common = { useGrouping: !unseparated.test(column.name), minimumFractionDigits: decimals > 2 ? 0 : decimals }
  const usual = new Intl.NumberFormat(locale, { ...common, maximumFractionDigits: decimals })
  const exact = new Intl.NumberFormat(locale, { ...common, maximumFractionDigits: 20 })
  const write = (cell: Cell) => {
    if (!isNumber(cell)) return plain(cell)
    const size = Math.abs(Number(cell))
    // What the usual decimals would make 0, or a poor guess, is written by its first digits.
    if (size === 0 || size >= 10 ** -decimals) return usual.format(cell)
    return size < countable ? smallest.format(cell) : small.format(cell)
  }
  return { isNumeric: true, write, full: (cell) => (isNumber(cell) && write(cell) !== exact.format(cell) ? String(cell) : undefined) }
}

const small = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 })
const smallest = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3, notation: 'scientific' })

/** How many digits stand behind the point: none in `1500`, one in `2.5`, seven in `1e-7`. */
function decimalsOf(cell: number | bigint): number {
  const [, fraction = '', exponent = '0'] = /^-?\d+(?:\.(\d+))?(?:e(.+))?$/.exec(String(cell)) ?? []
  return Math.max(0, fraction.length - Number(exponent))
}
