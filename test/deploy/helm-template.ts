import { stringify } from 'yaml'

/** What a template can name: .Values, .Chart, .Release; and the chart's files. */
export interface Scope {
  readonly data: unknown
  readonly file: (name: string) => string
}

/* The part of Go's templates that our chart is written in; anything else is an error. */
type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'value'; readonly expression: string }
  | { readonly kind: Block; readonly expression: string; yes: Part[]; no: Part[] }
type Block = 'if' | 'with' | 'range'

/** Renders a template of a Helm chart. */
export function renderTemplate(text: string, scope: Scope): string {
  const parts = parse(tokens(text))
  return write(parts, scope.data, scope)
}

interface Token {
  readonly kind: 'text' | 'action'
  readonly text: string
}

/** A dash inside the braces takes the white space on its side. */
function tokens(text: string): Token[] {
  const pattern = /(\s*)\{\{(-?)\s*(.*?)\s*(-?)\}\}(\s*)/gs
  const found: Token[] = []
  let end = 0
  let trimmed = 0
  for (const match of text.matchAll(pattern)) {
    const [whole, before = '', left, action = '', right, after = ''] = match
    const start = match.index + before.length
    const kept = left === '-' ? text.slice(end, match.index) : text.slice(end, start)
    found.push({ kind: 'text', text: trimmed ? kept.trimStart() : kept })
    found.push({ kind: 'action', text: action })
    trimmed = right === '-' ? 1 : 0
    end = match.index + whole.length - after.length
    pattern.lastIndex = end
  }
  return [...found, { kind: 'text', text: text.slice(end) }]
}

function parse(all: readonly Token[]): Part[] {
  const root: Part[] = []
  const open: { part: Extract<Part, { yes: Part[] }>; into: Part[] }[] = []
  const into = (): Part[] => open.at(-1)?.into ?? root
  for (const { kind, text } of all) {
    const [word = '', ...rest] = text.split(' ')
    if (kind === 'text') into().push({ kind: 'text', text })
    else if (word === 'if' || word === 'with' || word === 'range') {
      const part: Extract<Part, { yes: Part[] }> = {
        kind: word,
        expression: rest.join(' '),
        yes: [] as Part[],
        no: [] as Part[],
      }
      into().push(part)
      open.push({ part, into: part.yes })
    } else if (text === 'else') open.at(-1)!.into = open.at(-1)!.part.no
    else if (text === 'end') {
      if (open.pop() === undefined) throw new Error('end without a block')
    } else into().push({ kind: 'value', expression: text })
  }
  if (open.length > 0) throw new Error('a block without end')
  return root
}

function write(parts: readonly Part[], dot: unknown, scope: Scope): string {
  return parts.map((part) => writePart(part, dot, scope)).join('')
}

function writePart(part: Part, dot: unknown, scope: Scope): string {
  if (part.kind === 'text') return part.text
  const value = evaluate(part.expression, dot, scope)
  if (part.kind === 'value') return typeof value === 'string' ? value : JSON.stringify(value)
  if (isEmpty(value)) return write(part.no, dot, scope)
  if (part.kind === 'if') return write(part.yes, dot, scope)
  if (part.kind === 'with') return write(part.yes, value, scope)
  return (value as readonly unknown[]).map((each) => write(part.yes, each, scope)).join('')
}

/** As Go has it: false, 0, and whatever has no length. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true
  if (typeof value === 'object') return Object.keys(value).length === 0
  return value === false || value === 0 || value === ''
}

function evaluate(expression: string, dot: unknown, scope: Scope): unknown {
  const [first = '', ...pipes] = expression.split('|').map((part) => part.trim())
  return pipes.reduce(
    (value, call) => apply([...call.split(' '), value], dot, scope),
    apply(first.split(' '), dot, scope),
  )
}

function apply(words: readonly unknown[], dot: unknown, scope: Scope): unknown {
  const [name, ...given] = words
  const inputs = given.map((word) => operand(word, dot, scope))
  switch (name) {
    case 'not':
      return isEmpty(inputs[0])
    case 'default':
      return isEmpty(inputs[1]) ? inputs[0] : inputs[1]
    case 'quote':
      return JSON.stringify(String(inputs[0]))
    case 'toYaml':
      return stringify(inputs[0]).trimEnd()
    case 'nindent':
      return `\n${String(inputs[1])}`.replaceAll('\n', `\n${' '.repeat(Number(inputs[0]))}`)
    case '.Files.Get':
      return scope.file(String(inputs[0])).trimEnd()
    default:
      if (given.length > 0) throw new Error(`${String(name)}: not understood here`)
      return operand(name, dot, scope)
  }
}

function operand(word: unknown, dot: unknown, { data }: Scope): unknown {
  if (typeof word !== 'string') return word
  if (word.startsWith('"')) return JSON.parse(word)
  if (/^\d+$/.test(word)) return Number(word)
  if (word === '.') return dot
  const path = /^((?:\.\w+)+)$/.exec(word)?.[1]
  if (path === undefined) return word
  /* In a block whose dot is a value, a path from the root would fail in Go as well. */
  if (dot !== data) throw new Error(`${word}: the dot is another here`)
  return path
    .slice(1)
    .split('.')
    .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], data)
}
