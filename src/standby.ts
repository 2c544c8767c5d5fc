import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import type { Config } from './config.ts'
import { rehearseDatapath } from './datapath/programs.ts'
import { lockRoot, openRoot, rootPaths, takeRoot, type Root } from './datapath/root.ts'
import { messageOf, ShuntError } from './errors.ts'
import type { Log } from './log.ts'

/** How often a waiting agent tries the lock: what an owner's end costs at most. */
const tryMilliseconds = 50

/**
 * The root, ours from now on. With --if-owned=wait its owner may be running: then everything that
 * can be tried beside an owner is tried at once, and said to be ready, and the rest waits for its
 * end. Undefined: told to end while waiting.
 */
export async function ownRoot(
  config: Config,
  log: Log,
  signal: AbortSignal,
): Promise<Root | undefined> {
  clearReady(config)
  const root = openRoot(config.bpffs)
  if (config.ifOwned === 'fail') lockRoot(root)
  if (config.ifOwned === 'fail' || takeRoot(root)) return root
  rehearseDatapath()
  sayReady(config, 'waiting')
  log.info({ path: root.path }, 'another agent owns the root, waiting for its end')
  const owned = await awaitRoot(config, signal)
  log.info({ path: root.path }, owned ? 'root taken over' : 'agent ended while waiting')
  return owned
}

/* Made anew where it has gone: the owner's end may have been followed by a cleanup. */
async function awaitRoot(config: Config, signal: AbortSignal): Promise<Root | undefined> {
  const root = rootPaths(config.bpffs)
  while (!signal.aborted) {
    if (!existsSync(root.path)) openRoot(config.bpffs)
    if (takeRoot(root)) return openRoot(config.bpffs)
    await wait(tryMilliseconds, undefined, { signal }).catch(() => undefined)
  }
  return undefined
}

/** Writes the file that tells a start-up probe how far we are. */
export function sayReady({ readyFile }: Config, state: 'waiting' | 'started'): void {
  if (readyFile === undefined) return
  try {
    writeFileSync(readyFile, `${state}\n`)
  } catch (cause) {
    const what = `--ready-file: cannot write ${readyFile}: ${messageOf(cause)}`
    throw new ShuntError('KSH_RUNTIME', what, { cause })
  }
}

/** Takes that file away: at a start it is an earlier agent's. */
export function clearReady({ readyFile }: Config): void {
  if (readyFile !== undefined) rmSync(readyFile, { force: true })
}
