import { hideBin } from 'yargs/helpers'
import { readingCommands } from './cli/commands.ts'
import { runProgram } from './cli/program.ts'
import { isOn, runOneShot } from './cli/one-shot.ts'
import { runCommand } from './cli/run.ts'
import { readConfig } from './config.ts'
import { askedToEnd } from './end-signal.ts'
import { messageOf, ShuntError } from './errors.ts'
import { createLog } from './log.ts'
import { normalizeGoArgs } from './proxy-config/go-args.ts'
import type { Flags } from './cli/flags.ts'

process.exitCode = await main(hideBin(process.argv))

/** Runs a command line; the answer is the exit status unless the command set one itself. */
async function main(args: readonly string[]): Promise<number | undefined> {
  process.stdout.on('error', leaveOnClosedPipe)
  try {
    await runProgram(commandLine(args), [runCommand(run), ...readingCommands])
    return process.exitCode === undefined ? 0 : Number(process.exitCode)
  } catch (error) {
    process.stderr.write(`kube-shunt: ${errorText(error)}\n`)
    return error instanceof ShuntError ? error.exitCode : 1
  }
}

/* Flags alone are those of kube-proxy, which has no commands: its DaemonSet starts us like that. */
function commandLine(args: readonly string[]): readonly string[] {
  const [first = ''] = args
  const isOwn = /^(-h|--help|--version|--get-yargs-completions)$/.test(first)
  const isRun = first.startsWith('-') && !isOwn
  if (isRun) return ['run', ...normalizeGoArgs(args)]
  return first === 'run' ? ['run', ...normalizeGoArgs(args.slice(1))] : args
}

/* The agent is loaded here, so that other commands start without its dependencies. */
async function run(flags: Flags): Promise<void> {
  if (await runOneShot(flags)) return
  askedToEnd()
  const { config, notes } = readConfig(flags)
  const log = createLog({ format: config.logFormat, verbosity: config.verbosity })
  for (const { message, ...note } of notes) log.warn(note, message)
  const { prepareNode, runAgent } = await import('./agent.ts')
  if (isOn(flags, 'init-only')) prepareNode(config)
  else await runAgent(config)
}

/* One line: what was attempted, and of a long story (a verifier's) the end. */
function errorText(error: unknown): string {
  const [first = '', ...rest] = messageOf(error)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  const text = [first, ...rest.slice(-3)].join('; ')
  if (error instanceof ShuntError || !(error instanceof Error)) return text
  const place = /\bat .*/.exec(error.stack ?? '')?.[0] ?? ''
  return `unexpected ${error.name}: ${text} (${place})`
}

/* `kube-shunt flows | head` is not an error. */
function leaveOnClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
}
