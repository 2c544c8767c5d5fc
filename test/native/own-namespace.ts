/*
 * Imported first by tests that need the kernel: runs the test file again in a network and mount
 * namespace of its own, with a bpffs of its own. All of it goes with the process, however it ends.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

if (process.env['KSN_INSIDE'] === undefined) {
  const inside = ['--pdeathsig', 'KILL', 'unshare', '--net', '--mount']
  const again = [process.execPath, ...process.execArgv, process.argv[1]!]
  const env = { ...process.env, KSN_INSIDE: '1' }
  const { status } = spawnSync('setpriv', [...inside, ...again], { env, stdio: 'inherit' })
  process.exit(status ?? 1)
}

/** Runs a command to its end; its standard output. */
export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Runs `ip` with these words. */
export function ip(words: string): string {
  return run('ip', ...words.split(' '))
}

/** An empty directory of a bpffs that nobody else sees. */
export const bpffs = mkdtempSync(join(tmpdir(), 'ksn-bpffs-'))
run('mount', '-t', 'bpf', 'bpf', bpffs)
process.on('exit', () => {
  spawnSync('umount', [bpffs])
  spawnSync('rmdir', [bpffs])
})

/** A veth pair; whatever is sent to 192.0.2.2 leaves by `near` and arrives at `far`. */
export function makeVeth(near: string, far: string): { near: number; far: number } {
  ip(`link add ${near} type veth peer name ${far}`)
  ip('link set lo up')
  ip(`link set ${near} up`)
  ip(`link set ${far} up`)
  ip(`addr add 192.0.2.1/24 dev ${near}`)
  ip(`neigh replace 192.0.2.2 lladdr ${macOf(far)} dev ${near} nud permanent`)
  return { near: indexOf(near), far: indexOf(far) }
}

export function indexOf(device: string): number {
  return describe(device).ifindex
}

function macOf(device: string): string {
  return describe(device).address
}

function describe(device: string): { ifindex: number; address: string } {
  const [link] = JSON.parse(ip(`-json link show dev ${device}`)) as [
    { ifindex: number; address: string },
  ]
  return link
}
