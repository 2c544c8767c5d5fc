import { join } from 'node:path'
import type { Agent, ClusterNode } from '../cluster/types.ts'
import { readMetric } from './metrics-page.ts'

/** What an agent has written for its objects, and how much room it believes to have taken. */
export interface Programmed {
  /** Frontends and their backends as the dump has them, without generations, which only grow. */
  readonly frontends: readonly string[]
  /** Entries of `frontends`, those that only say that an address is ours included. */
  readonly keys: number
  /** Entries in use of `frontend_names` and `backend_states`. */
  readonly names: number
  readonly backendsAlive: number
  /** Numbers taken by map, those that rest before they are given away again included. */
  readonly taken: Readonly<Record<string, number>>
}

const pools = ['frontends', 'frontend_words', 'backends', 'backend_states']

export async function readProgrammed(node: ClusterNode, agent: Agent): Promise<Programmed> {
  const [frontends, keys, names, states, ...taken] = await Promise.all([
    dumpedFrontends(node),
    entriesOf(node, 'frontends'),
    entriesOf<{ kind: number }>(node, 'frontend_names'),
    entriesOf<{ alive: number }>(node, 'backend_states'),
    ...pools.map((map) => readMetric(agent, 'kubeshunt_map_entries', `map="${map}"`)),
  ])
  return {
    frontends,
    keys: keys.length,
    names: names.filter(({ kind }) => kind !== 0).length,
    backendsAlive: states.filter(({ alive }) => alive !== 0).length,
    taken: Object.fromEntries(pools.map((map, index) => [map, taken[index]!])),
  }
}

/** A frontend as `dump` prints it. */
export interface DumpedFrontend {
  readonly address: string
  readonly port: number
  readonly protocol: string
  readonly kind: string
  readonly service: string
  readonly backends: readonly { readonly address: string; readonly port: number }[]
}

/** The frontends that the node's agent has programmed. */
export async function readDump(node: ClusterNode): Promise<readonly DumpedFrontend[]> {
  const { stdout } = await node.shunt(['dump', '--output', 'json'])
  return (JSON.parse(stdout) as { frontends: DumpedFrontend[] }).frontends
}

async function dumpedFrontends(node: ClusterNode): Promise<string[]> {
  const withoutGeneration = (name: string, value: unknown): unknown =>
    name === 'generation' ? undefined : value
  const frontends = await readDump(node)
  return frontends.map((frontend) => JSON.stringify(frontend, withoutGeneration)).sort()
}

/** The values in a pinned map. */
async function entriesOf<Value>(node: ClusterNode, map: string): Promise<Value[]> {
  const path = join(node.bpffs, 'v1/maps', map)
  const { stdout } = await node.exec(['bpftool', '-j', 'map', 'dump', 'pinned', path])
  const entries = JSON.parse(stdout) as { readonly formatted: { readonly value: Value } }[]
  return entries.map(({ formatted }) => formatted.value)
}
