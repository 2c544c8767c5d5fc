import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ClusterNode } from '../cluster/types.ts'

/** What an agent has in the kernel: everything pinned. */
export interface NodeState {
  /** Kernel ids of pinned maps by name: another id is another map. */
  readonly maps: Readonly<Record<string, number>>
  /** Kernel ids of pinned links by name: another id means that it was detached in between. */
  readonly links: Readonly<Record<string, number>>
  readonly programs: readonly string[]
}

export async function readNodeState(node: ClusterNode): Promise<NodeState> {
  const [maps, links] = await Promise.all([
    pinnedIds(node, 'map', 'v1/maps'),
    pinnedIds(node, 'link', 'v1/links'),
  ])
  return { maps, links, programs: pins(node, 'v1/programs') }
}

/** The names pinned in a directory below the node's root. */
export function pins(node: ClusterNode, directory: string): string[] {
  return readdirSync(join(node.bpffs, directory)).sort()
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
    const found = JSON.parse(stdout) as Identified | readonly [Identified]
    return 'id' in found ? found.id : found[0].id
  })
  return Object.fromEntries(names.map((name, index) => [name, ids[index]!]))
}

/** What bpftool says of a map or link, which some versions wrap in a list. */
interface Identified {
  readonly id: number
}
