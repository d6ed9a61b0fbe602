// JSON with its whole numbers as they are: beyond 2^53 a number of JavaScript is another one.

interface Context {
  source?: string
}

/**
 * Reads JSON. A whole number that a number would round becomes what `large` makes of its digits. A browser that does not
 * tell the digits (`context.source`) rounds.
 */
export function parseJson<T>(text: string, large: (digits: string) => unknown = BigInt): T {
  const exact = (_: string, value: unknown, context?: Context) => {
    const digits = context?.source
    const isRounded = typeof value === 'number' && !Number.isSafeInteger(value) && digits !== undefined && /^-?\d+$/.test(digits)
    return isRounded ? large(digits) : value
  }
  return JSON.parse(text, exact) as T
}

/** Writes JSON for people to read; a large whole number as its digits in quotes. */
export function writeJson(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one), 2)
}
