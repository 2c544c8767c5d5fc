import { readFileSync } from 'node:fs'
import yargs, { type CommandModule } from 'yargs'
import { ShuntError } from '../errors.ts'

/** The version in package.json. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(text) as { readonly version: string } // our own file
  return version
}

/** Parses a command line and runs its command; whatever is wrong with it is a ShuntError. */
export async function runProgram(
  args: readonly string[],
  commands: readonly CommandModule[],
): Promise<void> {
  const program = yargs([...args])
    .scriptName('kube-shunt')
    .usage('kube-shunt: an eBPF kube-proxy replacement\n\nUsage: kube-shunt COMMAND [FLAGS]')
    .parserConfiguration({
      'camel-case-expansion': false,
      'boolean-negation': false,
      'dot-notation': false,
      'greedy-arrays': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    })
    .locale('en')
    .version(`kube-shunt ${packageVersion()}`)
    .help()
    .alias('help', 'h')
    .wrap(80)
    .strict()
    .demandCommand(1, 'a command is needed')
    .completion('completion', 'shell completion (source it from .bashrc or .zshrc)')
    .exitProcess(false)
    .fail((message, error) => {
      throw usageError(message, error, args)
    })
  for (const command of commands) program.command(command)
  await program.parseAsync()
}

function usageError(message: string, error: Error | undefined, args: readonly string[]): Error {
  // yargs passes on what a command threw, and its own errors as a message
  if (error !== undefined && error.name !== 'YError') return error
  return new ShuntError('KSH_USAGE', `${usageText(message, args)}; see kube-shunt --help`)
}

/* yargs names flags without their dashes; the message shows what was typed. */
function usageText(message: string, args: readonly string[]): string {
  const unknown = /^Unknown (?:argument|command)s?: (.+)$/.exec(message)?.[1]
  const empty = /^Not enough arguments following: (.+)$/.exec(message)?.[1]
  const list = unknown ?? empty
  if (list === undefined) return oneLine(message)
  const names = list.split(', ').map((name) => typedAs(name, args))
  if (empty !== undefined) return `${names.join(', ')}: a value is needed`
  const isFlag = names.every((name) => name.startsWith('-'))
  return `unknown ${isFlag ? 'flag' : 'command or argument'} ${names.join(', ')}`
}

function typedAs(name: string, args: readonly string[]): string {
  const words = args.map((arg) => arg.replace(/=.*$/s, ''))
  return words.find((word) => word.replace(/^--?/, '') === name) ?? name
}

/** A text with its line breaks and what is around them as single separators. */
export function oneLine(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join('; ')
}
