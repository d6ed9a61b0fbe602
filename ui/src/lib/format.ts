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
  new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: share > 0 && share < 0.1 ? 1 : 0 }).format(share)

/** Spaces instead of underscores, a capital first: `order_count` reads `Order count`. */
export function humanName(name: string): string {
  const words = name.replaceAll('_', ' ').trim()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

// A thousands separator makes nonsense of keys, years and codes.
const unseparated = /(^|[_\s])(id|year|code|number|no|nr|zip|postcode|version|month)$/i

/** How a column's cells are written: one number of decimals for the whole column, so that digits line up. */
export interface ColumnFormat {
  isNumeric: boolean
  write: (cell: Cell) => string
}

export function columnFormat(column: ResultColumn, rows: Cell[][], at: number): ColumnFormat {
  let isNumeric = true
  let hasNumber = false
  let decimals = 0
  for (let row = 0; row < rows.length && row < 500; row++) {
    const cell = rows[row]?.[at]
    if (cell === null || cell === undefined) continue
    if (typeof cell !== 'number') {
      isNumeric = false
      break
    }
    hasNumber = true
    const fraction = /\.(\d+)$/.exec(String(cell))?.[1]
    decimals = Math.max(decimals, fraction?.length ?? 0)
  }
  isNumeric &&= hasNumber
  if (!isNumeric) return { isNumeric: false, write: (cell) => (cell === null ? '' : String(cell)) }
  decimals = Math.min(decimals, 4)
  const numbers = new Intl.NumberFormat(locale, {
    minimumFractionDigits: decimals > 2 ? 0 : decimals,
    maximumFractionDigits: decimals,
    useGrouping: !unseparated.test(column.name),
  })
  return { isNumeric: true, write: (cell) => (typeof cell === 'number' ? numbers.format(cell) : cell === null ? '' : String(cell)) }
}
