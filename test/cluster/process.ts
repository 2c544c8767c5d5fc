import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync } from 'node:fs'
import type { ChildProcess } from 'node:child_process'
import type { ExecOptions, Output, Running } from './types.ts'

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  /** Both output streams are appended to this file, so that they outlive their reader. */
  readonly logFile?: string
}

/** Starts a command in a session of its own: a terminal's Ctrl-C reaches only us. */
export function startProcess(command: readonly string[], options: StartOptions = {}): Running {
  const [file, ...args] = command
  const log = options.logFile === undefined ? undefined : openLog(options.logFile)
  const child = spawn(file!, args, {
    detached: true,
    env: { ...process.env, ...options.env },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', log?.fd ?? 'pipe', log?.fd ?? 'pipe'],
  })
  if (log) closeSync(log.fd)
  if (child.stdin) {
    child.stdin.on('error', () => undefined) // it may end without reading all of its input
    child.stdin.end(options.input)
  }
  return running(child, log?.read)
}

/** Runs a command to its end; throws with its output when it fails, unless that is allowed. */
export async function runProcess(
  command: readonly string[],
  options: ExecOptions = {},
): Promise<Output> {
  const process = startProcess(command, options)
  const limit = options.timeoutMs ?? 30_000
  const timer = setTimeout(() => void process.stop('SIGKILL'), limit)
  const started = Date.now()
  const output = await process.exited
  clearTimeout(timer)
  if (output.signal === 'SIGKILL' && Date.now() - started >= limit)
    throw new Error(`${command.join(' ')}: not done after ${limit} ms${described(output)}`)
  if (output.code === 0 || options.mayFail) return output
  throw new Error(`${command.join(' ')}: exit ${output.code ?? output.signal}${described(output)}`)
}

function described({ stdout, stderr }: Output): string {
  const text = `${stderr}${stdout}`.trim()
  return text === '' ? '' : `\n${text.slice(-4000)}`
}

function openLog(path: string): { fd: number; read: () => string } {
  const fd = openSync(path, 'a')
  const start = statSync(path).size
  return { fd, read: () => readIfThere(path).subarray(start).toString() }
}

/** A cluster's directory can be gone before its last process was heard of. */
function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch {
    return Buffer.alloc(0)
  }
}

function running(child: ChildProcess, readLog?: () => string): Running {
  const out = collect(child.stdout)
  const err = collect(child.stderr)
  const stdout = readLog ?? (() => out.text)
  const stderr = () => err.text
  const exited = new Promise<Output>((resolve) => {
    child.once('error', (error) =>
      resolve({ code: 127, signal: null, stdout: '', stderr: error.message }),
    )
    child.once('close', (code, signal) =>
      resolve({ code, signal, stdout: stdout(), stderr: stderr() }),
    )
  })
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  const handle: Running = {
    pid: child.pid ?? -1,
    hasEnded,
    stdout,
    stderr,
    exited,
    onLine: (listener) => out.onLine(listener),
    waitForLine: (accept, milliseconds = 10_000) => waitForLine(handle, accept, milliseconds),
    async stop(signal = 'SIGTERM') {
      if (!hasEnded()) signalGroup(child, signal)
      return exited
    },
  }
  return handle
}

/** The command leads a process group; SIGKILL takes the group, so that no child holds our pipes. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(signal === 'SIGKILL' ? -child.pid : child.pid, signal)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

interface Lines {
  text: string
  onLine(listener: (line: string) => void): void
}

function collect(stream: NodeJS.ReadableStream | null): Lines {
  const listeners: ((line: string) => void)[] = []
  let told = 0
  const lines: Lines = {
    text: '',
    onLine(listener) {
      for (const line of lines.text.slice(0, told).split('\n').slice(0, -1)) listener(line)
      listeners.push(listener)
    },
  }
  stream?.setEncoding('utf8')
  stream?.on('data', (chunk: string) => {
    lines.text += chunk
    for (let end = lines.text.indexOf('\n', told); end >= 0; end = lines.text.indexOf('\n', told)) {
      const line = lines.text.slice(told, end)
      told = end + 1
      for (const listener of listeners) listener(line)
    }
  })
  return lines
}

async function waitForLine(
  process: Running,
  accept: (line: string) => boolean,
  milliseconds: number,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) =>
      reject(new Error(`awaited line did not come: ${why}\n${process.stderr()}${process.stdout()}`))
    const timer = setTimeout(() => fail(`${milliseconds} ms passed`), milliseconds)
    process.onLine((line) => {
      if (!accept(line)) return
      clearTimeout(timer)
      resolve(line)
    })
    void process.exited.then(({ code, signal }) => {
      clearTimeout(timer)
      fail(`the process ended with ${code ?? signal ?? 'nothing'}`)
    })
  })
}
