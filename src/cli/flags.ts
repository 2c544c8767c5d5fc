import type { Options } from 'yargs'

/** What yargs leaves in a text option: nothing, a text, or several when given more than once. */
export type FlagValue = string | readonly string[] | undefined

/** Options by name without dashes. */
export type Flags = Readonly<Record<string, unknown>>

/** The text of an option; given several times, the last counts, as in Go. */
export function textOf(flags: Flags, name: string): string | undefined {
  const value = flags[name] as FlagValue // every option is declared as text
  return typeof value === 'object' ? value.at(-1) : value
}

/** The text of a list option; given several times, the lists follow each other, as in Go. */
export function listOf(flags: Flags, name: string): string | undefined {
  const value = flags[name] as FlagValue // as above
  return typeof value === 'object' ? value.join(',') : value
}

/** An option that takes a text. */
export function text(describe: string, extra: Options = {}): Options {
  return { type: 'string', requiresArg: true, describe, ...extra }
}

/** The options every command that looks at the node has. */
export const rootOption: Readonly<Record<string, Options>> = {
  bpffs: text('pin root of the agent', { default: '/sys/fs/bpf/kube-shunt' }),
}

/** The format option of a command. */
export function outputOption(choices: readonly string[]): Readonly<Record<string, Options>> {
  const describe = `output format: ${choices.join(' or ')}`
  return { output: { type: 'string', alias: 'o', choices, requiresArg: true, describe } }
}
