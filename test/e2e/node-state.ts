import { readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Agent, ClusterNode } from '../cluster/types.ts'

/** What an agent has in the kernel: everything pinned, and the programs on the node's devices. */
export interface NodeState {
  /** Kernel ids of pinned maps by name: another id is another map. */
  readonly maps: Readonly<Record<string, number>>
  /** Kernel ids of pinned links by name: another id means that it was detached in between. */
  readonly links: Readonly<Record<string, number>>
  readonly programs: readonly string[]
  /** "device direction program" for each attachment. */
  readonly attached: readonly string[]
}

export async function readNodeState(node: ClusterNode): Promise<NodeState> {
  const [maps, links, attached] = await Promise.all([
    pinnedIds(node, 'map', 'v1/maps'),
    pinnedIds(node, 'link', 'v1/links'),
    readAttached(node),
  ])
  return { maps, links, programs: pins(node, 'v1/programs'), attached }
}

/** The names pinned in a directory below the node's root. */
export function pins(node: ClusterNode, directory: string): string[] {
  return readdirSync(join(node.bpffs, directory)).sort()
}

/** Every attachment of a program to a device of the node. */
export async function readAttached(node: ClusterNode): Promise<string[]> {
  interface Attachment {
    readonly devname: string
    readonly kind: string
    readonly name?: string
    readonly prog_name?: string
  }
  const { stdout } = await node.exec(['bpftool', '-j', 'net', 'show'])
  const [{ tc }] = JSON.parse(stdout) as [{ tc: readonly Attachment[] }]
  return tc
    .map(({ devname, kind, name, prog_name }) => `${devname} ${kind} ${name ?? prog_name!}`)
    .sort()
}

/** How many BPF objects an agent holds open. */
export function countOpenBpf(agent: Agent): number {
  const directory = `/proc/${agent.pid}/fd`
  const targets = readdirSync(directory).map((fd) => {
    try {
      return readlinkSync(join(directory, fd))
    } catch {
      return '' // closed in between
    }
  })
  return targets.filter((target) => target.includes('bpf')).length
}

async function pinnedIds(
  node: ClusterNode,
  kind: 'map' | 'link',
  directory: string,
): Promise<Record<string, number>> {
  const names = pins(node, directory)
  const outputs = await Promise.all(
    names.map((name) =>
      node.exec(['bpftool', '-j', kind, 'show', 'pinned', join(node.bpffs, directory, name)]),
    ),
  )
  const ids = outputs.map(({ stdout }) => {
    const found = JSON.parse(stdout) as { id: number } | readonly { id: number }[]
    return Array.isArray(found) ? found[0]!.id : (found as { id: number }).id
  })
  return Object.fromEntries(names.map((name, index) => [name, ids[index]!]))
}
