import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { attachTcx } from '../../src/datapath/native-attach.ts'
import type { Node } from './harness.ts'

/** A pod: a namespace at the other end of a veth pair. */
export interface Pod {
  readonly device: string
  /** Runs a command in the pod to its end; its output. */
  run(...command: string[]): Promise<string>
  /** Starts a command in the pod; resolves with its first line of output. */
  start(...command: string[]): Promise<{ line: string; rest: Promise<string> }>
}

const peer = join(import.meta.dirname, 'wire-peer.ts')

/** The words of a task of wire-peer.ts. */
export function peerTask(...words: string[]): string[] {
  return [process.execPath, peer, ...words]
}

/** Runs `ip`, one line of words. */
export function ip(words: string): string {
  return execFileSync('ip', words.split(' '), { encoding: 'utf8' })
}

interface Link {
  readonly ifindex: number
  readonly address: string
}

/** Index and MAC address of a device; /sys may be that of another namespace. */
export function linkOf(device: string): Link {
  return (JSON.parse(ip(`-json link show dev ${device}`)) as [Link])[0]
}

/** Lets this namespace route between pods. */
export function becomeRouter(): void {
  ip('link set lo up')
  for (const setting of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'])
    writeFileSync(`/proc/sys/net/${setting}`, '1')
}

/** Makes a pod behind `device`; `n` is the third part of its IPv4 subnet. It ends with us. */
export async function makePod(device: string, n: number, last: string): Promise<Pod> {
  const holder = hold()
  await once(holder.stdout!, 'data')
  const subnet6 = n === 0 ? 'fd00:244::' : `fd00:244:${n}::`
  ip(`link add ${device} type veth peer name eth0 netns ${holder.pid}`)
  ip(`addr add 10.244.${n}.1/24 dev ${device}`)
  ip(`addr add ${subnet6}1/64 dev ${device} nodad`)
  ip(`link set ${device} up`)
  const inside = ['nsenter', `--net=/proc/${holder.pid}/ns/net`]
  const pod: Pod = {
    device,
    run: async (...command) => runToEnd(spawnHere([...inside, ...command]), command),
    async start(...command) {
      const child = spawnHere([...inside, ...command])
      const rest = runToEnd(child, command)
      const [line] = (await Promise.race([once(child.stdout!, 'data'), rest])) as [Buffer]
      return { line: String(line).trim(), rest }
    },
  }
  const words = (text: string): string[] => text.split(' ')
  for (const line of [
    'link set lo up',
    `addr add 10.244.${n}.${last}/24 dev eth0`,
    `addr add ${subnet6}${last}/64 dev eth0 nodad`,
    'link set eth0 up',
    `route add default via 10.244.${n}.1`,
    `-6 route add default via ${subnet6}1`,
  ])
    await pod.run('ip', ...words(line))
  return pod
}

/** Puts the node's programs on a pod's device. */
export function attach(node: Node, pod: Pod): void {
  attachTcx(node.programs.ingress, linkOf(pod.device).ifindex, 'ingress')
  attachTcx(node.programs.egress, linkOf(pod.device).ifindex, 'egress')
}

function hold(): ChildProcess {
  return spawnHere(['unshare', '--net', 'sh', '-c', 'echo ready; exec sleep infinity'])
}

/* The parent's death takes it along, so that nothing is left behind. */
function spawnHere(command: string[]): ChildProcess {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.unref()
  return child
}

async function runToEnd(child: ChildProcess, command: string[]): Promise<string> {
  let [out, err] = ['', '']
  child.stdout!.on('data', (data) => (out += String(data)))
  child.stderr!.on('data', (data) => (err += String(data)))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}\n${err}${out}`)
  return out.trim()
}
