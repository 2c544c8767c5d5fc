import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { lanAddresses, loopbackAddresses, only, podAddresses, podCidrs } from './addressing.ts'
import { shuntCommand, startAgent } from './agent.ts'
import { lanNumber } from './lan.ts'
import { makePlace } from './place.ts'
import { profiles } from './profile.ts'
import { runProcess } from './process.ts'
import { deleteNamespaces, killProcesses, removeCgroups } from './removal.ts'
import { joinWirings, wireUp } from './wiring.ts'
import type { LoggingPlace } from './place.ts'
import type { NodePlan, PodPlan } from './profile.ts'
import type { ClusterRecord } from './record.ts'
import type { Addresses, ClusterNode, ClusterOptions, Family, Pod } from './types.ts'

/** A node, and what the cluster needs besides to build it. */
export interface BuiltNode {
  readonly node: ClusterNode
  readonly plan: NodePlan
}

/** Where a new node belongs. */
export interface NodeSetting {
  readonly record: ClusterRecord
  readonly families: readonly Family[]
  readonly options: ClusterOptions
  readonly clusterFile: string
}

/** Node `n` (from 1) as an object; its namespace is wired by the cluster. */
export function makeNode(setting: NodeSetting, n: number): BuiltNode {
  const { record, families, options } = setting
  const name = `node${n}`
  const cgroup = join(record.cgroup, name)
  const uplinks = ([1, 2] as const)
    .slice(0, options.uplinks ?? 1)
    .map((lan) => only(families, lanAddresses(lanNumber(n), lan)))
  const addresses =
    options.nodeAddress === 'loopback' ? only(families, loopbackAddresses(n)) : uplinks[0]!
  const netns = `${record.prefix}${name}`
  const plan: NodePlan = { n, netns, families, addresses, uplinks, options }
  mkdirSync(join(cgroup, 'host'), { recursive: true })
  mkdirSync(join(cgroup, 'pods'))
  const place = makePlace(netns, { name, cgroup: join(cgroup, 'host'), addresses })
  const bpffs = join(record.pins, name)
  const keeping = podKeeping(setting, plan, () => node)
  const node: ClusterNode = {
    ...place,
    ...keeping,
    get pods() {
      return keeping.pods // a spread would keep today's
    },
    podCidrs: only(families, podCidrs(n)),
    uplink: 'eth0',
    uplinks: uplinks.map((own, index) => ({ device: `eth${index}`, addresses: own })),
    bpffs,
    cgroup,
    startAgent: (options) => startAgent({ ...setting, ...record, node, place }, options),
    shunt: (args, execOptions) =>
      place.exec(shuntCommand([...args, '--bpffs', bpffs]), execOptions),
  }
  return { node, plan }
}

type PodKeeping = Pick<ClusterNode, 'pods' | 'pod' | 'addPod' | 'addPods' | 'removePod'>

interface PodEntry {
  readonly pod: Pod
  readonly cgroup: string
}

function podKeeping(setting: NodeSetting, plan: NodePlan, node: () => ClusterNode): PodKeeping {
  const pods = new Map<string, PodEntry>()
  const numbers = counter(2)
  const profile = profiles[setting.options.profile]
  const addPods = async (names: readonly string[]): Promise<readonly Pod[]> => {
    const added = names.map((name) => {
      if (pods.has(name)) throw new Error(`${plan.netns} has a pod named ${name} already`)
      const made = makePod({ setting, plan, node: node(), name }, numbers)
      pods.set(name, made)
      return made
    })
    await wireUp(joinWirings(...added.map(({ podPlan }) => profile.pod(podPlan))))
    return added.map(({ pod }) => pod)
  }
  return {
    get pods() {
      return [...pods.values()].map(({ pod }) => pod)
    },
    pod(name) {
      const entry = pods.get(name)
      if (!entry) throw new Error(`${plan.netns} has no pod named ${name}`)
      return entry.pod
    },
    addPods,
    addPod: async (name) => (await addPods([name]))[0]!,
    async removePod(pod) {
      const entry = pods.get(pod.name)
      if (entry?.pod !== pod) throw new Error(`${plan.netns} has no such pod: ${pod.name}`)
      pods.delete(pod.name)
      await removePod(plan, entry)
    },
  }
}

interface PodBirth {
  readonly setting: NodeSetting
  readonly plan: NodePlan
  readonly node: ClusterNode
  readonly name: string
}

function makePod(birth: PodBirth, numbers: () => number): PodEntry & { podPlan: PodPlan } {
  const { setting, plan, node, name } = birth
  const { families, options } = setting
  const nextAddresses = (): Addresses => only(families, podAddresses(plan.n, numbers()))
  const addresses = nextAddresses()
  const netns = `${plan.netns}-${name}`
  const cgroup = join(node.cgroup, 'pods', name)
  mkdirSync(cgroup)
  const hostDevice = deviceName(options.profile === 'ptp' ? 'cali' : 'veth', name)
  const podPlan: PodPlan = { node: plan, netns, addresses, hostDevice }
  const place: LoggingPlace = makePlace(netns, { name, cgroup, addresses })
  const pod: Pod = {
    ...place,
    node,
    hostDevice,
    async addAddresses(count) {
      const more = Array.from({ length: count }, nextAddresses)
      await wireUp(profiles[options.profile].moreAddresses(podPlan, more))
      return more
    },
  }
  return { pod, cgroup, podPlan }
}

/** The host's end goes first, at once, as a CNI does it; a namespace ends in its own time. */
async function removePod(plan: NodePlan, { pod, cgroup }: PodEntry): Promise<void> {
  killProcesses(cgroup)
  await runProcess(['ip', '-n', plan.netns, 'link', 'del', pod.hostDevice])
  deleteNamespaces([pod.netns])
  removeCgroups(cgroup)
}

/** As CNIs name host ends: a prefix and eleven letters of a hash. */
function deviceName(prefix: string, name: string): string {
  return prefix + createHash('sha256').update(name).digest('hex').slice(0, 11)
}

function counter(first: number): () => number {
  let next = first
  return () => next++
}
