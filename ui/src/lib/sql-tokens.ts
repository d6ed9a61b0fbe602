// Cuts SQL into tokens for colouring. It need not be right about grammar, only never lose a character.

export type TokenKind = 'keyword' | 'function' | 'string' | 'number' | 'comment' | 'name' | 'sign' | 'space'

export interface Token {
  kind: TokenKind
  text: string
}

const keywords = new Set(
  `all and as asc between by case cast collate cross current_date current_timestamp desc distinct else end escape except
   exists explain filter following from full glob group having in inner intersect is isnull join left like limit natural
   not notnull null nulls offset on or order outer over partition preceding range recursive right row rows select then
   unbounded union using values when where window with`.split(/\s+/),
)

const pattern =
  /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*'?)|("(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?)|(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|([\p{L}_$][\p{L}\p{N}_$]*)|(\s+)|([\s\S])/gu

export function tokensOf(sql: string): Token[] {
  const tokens: Token[] = []
  for (const found of sql.matchAll(pattern)) {
    const [text, comment, string, quoted, number, word, space] = found
    let kind: TokenKind = 'sign'
    if (comment !== undefined) kind = 'comment'
    else if (string !== undefined) kind = 'string'
    else if (quoted !== undefined) kind = 'name'
    else if (number !== undefined) kind = 'number'
    else if (space !== undefined) kind = 'space'
    else if (word !== undefined) kind = wordKind(word, sql.slice((found.index ?? 0) + word.length))
    tokens.push({ kind, text })
  }
  return tokens
}

function wordKind(word: string, after: string): TokenKind {
  if (keywords.has(word.toLowerCase())) return 'keyword'
  return /^\s*\(/.test(after) ? 'function' : 'name'
}

const newLineBefore = /^(from|where|group|having|order|limit|union|except|intersect|window|join|left|inner|cross|full|right)$/i
const joinWords = /^(left|inner|cross|full|right|outer|natural)$/i

/** Breaks a one-line statement before its clauses, for reading; SQL with line breaks of its own stays as it is. */
export function laidOut(sql: string): string {
  if (sql.includes('\n') || sql.length < 60) return sql
  let depth = 0
  let last = ''
  let out = ''
  for (const token of tokensOf(sql)) {
    if (token.text === '(') depth++
    if (token.text === ')') depth--
    const starts = token.kind === 'keyword' && depth === 0 && newLineBefore.test(token.text)
    if (starts && !joinWords.test(last)) out = out.trimEnd() + '\n' + token.text
    else out += token.text
    if (token.kind !== 'space') last = token.text
  }
  return out.trim()
}
