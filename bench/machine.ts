import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import type { Machine } from './result.ts'

/** 1, 5 and 15 minute load. */
export function loadAverage(): string {
  return readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).join(' ')
}

/** What the numbers were measured on. */
export function describeMachine(loadBefore: string): Machine {
  const processors = cpus()
  return {
    processor: processors[0]?.model ?? 'unknown',
    cpus: processors.length,
    kernel: release(),
    distribution: distribution(),
    node: process.version,
    clang: firstLine('clang', ['--version']),
    commit: commit(),
    loadBefore,
    loadAfter: loadAverage(),
  }
}

function distribution(): string {
  const text = readFileSync('/etc/os-release', 'utf8')
  return /^PRETTY_NAME="?([^"\n]*)/m.exec(text)?.[1] ?? 'unknown'
}

function commit(): string {
  const hash = firstLine('git', ['rev-parse', '--short', 'HEAD'])
  const changed = output('git', ['status', '--porcelain', '--', 'src', 'bpf', 'bench', 'test'])
  return changed === '' ? hash : `${hash}+`
}

function firstLine(command: string, args: readonly string[]): string {
  return output(command, args).split('\n')[0] || 'unknown'
}

function output(command: string, args: readonly string[]): string {
  try {
    const stdio = ['ignore', 'pipe', 'ignore'] as const
    return execFileSync(command, args, { encoding: 'utf8', stdio: [...stdio] }).trim()
  } catch {
    return '' // an export without git, for instance
  }
}
