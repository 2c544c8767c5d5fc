import { parseArgs } from 'node:util'
import { benchmarks } from './benchmarks.ts'
import type { BenchOptions } from './result.ts'

export type Command =
  | {
      readonly kind: 'run'
      readonly names: readonly string[]
      readonly docs: boolean
      readonly options: BenchOptions
    }
  | { readonly kind: 'compare'; readonly files: readonly string[] }
  | { readonly kind: 'print'; readonly files: readonly string[]; readonly docs: boolean }
  | { readonly kind: 'usage'; readonly text: string; readonly code: number }

const usage = `npm run bench -- [NAME...] [--rounds N] [--profile bridge,ptp] [--services 10,1000] [--docs]
npm run bench -- compare A.json B.json
npm run bench -- print A.json [--docs]

Measures, prints Markdown and writes build/bench/TIME.json. Without a name: program and latency,
which takes less than 3 minutes.

${benchmarks.map(({ name, summary }) => `  ${name.padEnd(14)} ${summary}`).join('\n')}

  --rounds    how often everything is measured; each benchmark has its own default
  --profile   how pods of the latency clusters are wired; default bridge,ptp
  --services  how many Services there are; default 10
  --docs      also write docs/benchmarks.md
`

const usual = ['program', 'latency']
const profiles = ['bridge', 'ptp'] as const

/** What the command line asks for. */
export function parseCommand(args: readonly string[]): Command {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        rounds: { type: 'string' },
        profile: { type: 'string', default: profiles.join(',') },
        services: { type: 'string', default: '10' },
        docs: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return { kind: 'usage', text: usage, code: 0 }
    const [first, ...files] = positionals
    if (first === 'compare' && files.length === 2) return { kind: first, files }
    if (first === 'print' && files.length === 1) return { kind: first, files, docs: values.docs }
    return {
      kind: 'run',
      names: positionals.length === 0 ? usual : positionals.map(parseName),
      docs: values.docs,
      options: {
        rounds: values.rounds === undefined ? undefined : parseCount('--rounds', values.rounds),
        profiles: values.profile.split(',').map(parseProfile),
        services: values.services.split(',').map((text) => parseCount('--services', text)),
      },
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { kind: 'usage', text: `bench: ${why}\n\n${usage}`, code: 2 }
  }
}

function parseName(name: string): string {
  if (benchmarks.some((benchmark) => benchmark.name === name)) return name
  throw new Error(`${name}: use ${benchmarks.map((each) => each.name).join(', ')}, compare, print`)
}

function parseProfile(text: string): (typeof profiles)[number] {
  const found = profiles.find((profile) => profile === text)
  if (found === undefined) throw new Error(`--profile ${text}: use ${profiles.join(', ')}`)
  return found
}

function parseCount(flag: string, text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 2) return count
  throw new Error(`${flag} ${text}: use a whole number from 2`)
}
