import { mkdirSync } from 'node:fs'
import { runProcess } from './process.ts'
import { fileURLToPath } from 'node:url'
import { netnsPath } from './place.ts'

const passAll = fileURLToPath(new URL('../../build/traffic/xdp-pass.bpf.o', import.meta.url))

/** What to do inside one namespace, in this order. */
export interface Inside {
  /** `path=value` below /proc/sys/net, before any device but lo exists. */
  readonly settings?: readonly string[]
  /** Lines of `ip -batch`. */
  readonly ip?: readonly string[]
  /** Lines of `ip -6 -batch`, for what does not tell its family by itself. */
  readonly ip6?: readonly string[]
  /** Lines of `bridge -batch`. */
  readonly bridge?: readonly string[]
  /** As `settings`, once the devices exist. */
  readonly deviceSettings?: readonly string[]
  /** A ruleset for nft. */
  readonly nft?: string
  /** Devices that must not offload checksums. */
  readonly checksumDevices?: readonly string[]
  /** Devices that receive by a native XDP program that lets everything pass. */
  readonly xdpDevices?: readonly string[]
}

/** Namespaces to make and how to wire them; devices are born inside their namespaces. */
export interface Wiring {
  readonly namespaces: readonly string[]
  /** Lines of `ip -batch` that make devices: `link add X netns A type veth peer name Y netns B`. */
  readonly links: readonly string[]
  readonly inside: readonly (readonly [netns: string, todo: Inside])[]
}

/** All wirings as one. */
export function joinWirings(...wirings: readonly Wiring[]): Wiring {
  return {
    namespaces: wirings.flatMap(({ namespaces }) => namespaces),
    links: wirings.flatMap(({ links }) => links),
    inside: wirings.flatMap(({ inside }) => inside),
  }
}

/** Makes it so, with four processes and a few small ones per namespace. */
export async function wireUp(wiring: Wiring): Promise<void> {
  const inside = [...byNamespace(wiring)]
  mkdirSync('/run/netns', { recursive: true })
  await batch(wiring.namespaces.map((name) => `netns add ${name}`))
  await shell(inside.flatMap(([netns, { settings }]) => within(netns, writes(settings))))
  await batch(wiring.links)
  await shell(inside.flatMap(([netns, todo]) => within(netns, commands(todo))))
}

/** All there is to do in a namespace at once: the line order of each kind stays. */
function byNamespace({ inside }: Wiring): Map<string, Inside> {
  const merged = new Map<string, Inside>()
  for (const [netns, todo] of inside) {
    const before = merged.get(netns) ?? {}
    merged.set(netns, {
      settings: [...(before.settings ?? []), ...(todo.settings ?? [])],
      ip: [...(before.ip ?? []), ...(todo.ip ?? [])],
      ip6: [...(before.ip6 ?? []), ...(todo.ip6 ?? [])],
      bridge: [...(before.bridge ?? []), ...(todo.bridge ?? [])],
      deviceSettings: [...(before.deviceSettings ?? []), ...(todo.deviceSettings ?? [])],
      nft: [before.nft, todo.nft].filter(Boolean).join('\n'),
      checksumDevices: [...(before.checksumDevices ?? []), ...(todo.checksumDevices ?? [])],
      xdpDevices: [...(before.xdpDevices ?? []), ...(todo.xdpDevices ?? [])],
    })
  }
  return merged
}

async function batch(lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return
  await runProcess(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` })
}

async function shell(lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return
  await runProcess(['sh', '-e'], { input: `${lines.join('\n')}\n`, timeoutMs: 60_000 })
}

function within(netns: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return []
  return [`nsenter --net=${netnsPath(netns)} -- sh -e <<'INSIDE'`, ...lines, 'INSIDE']
}

function commands(todo: Inside): string[] {
  return [
    ...fed('ip -batch -', todo.ip),
    ...fed('ip -6 -batch -', todo.ip6),
    ...fed('bridge -batch -', todo.bridge),
    ...writes(todo.deviceSettings),
    ...fed('nft -f -', todo.nft ? [todo.nft] : []),
    ...(todo.checksumDevices ?? []).map((device) => `ethtool -K ${device} tx off > /dev/null`),
    ...(todo.xdpDevices ?? []).map(
      (device) => `ip link set dev ${device} xdpdrv obj '${passAll}' sec xdp.frags`,
    ),
  ]
}

function fed(command: string, lines: readonly string[] = []): string[] {
  return lines.length === 0 ? [] : [`${command} <<'LINES'`, ...lines, 'LINES']
}

function writes(settings: readonly string[] = []): string[] {
  return settings.map((setting) => {
    const [path, value] = setting.split('=')
    return `echo ${value!} > /proc/sys/net/${path!}`
  })
}
