import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  allFamilies,
  hostPort,
  lanAddresses,
  only,
  serviceAddress,
  serviceRange,
} from './addressing.ts'
import { ClusterFile } from './cluster-file.ts'
import { exposePort } from './exposure.ts'
import { lanWiring, loopbackRoutes, nodeWiring } from './lan.ts'
import { makeNode } from './node.ts'
import { nodeObject } from './objects.ts'
import { keepOnExit, removeOnExit } from './on-exit.ts'
import { outskirtsKeeping } from './outside.ts'
import { makePlace } from './place.ts'
import { profiles } from './profile.ts'
import { recordCluster } from './record.ts'
import { cleanupLeftovers, removeCluster } from './removal.ts'
import { joinWirings, wireUp } from './wiring.ts'
import type { Lan } from './lan.ts'
import type { NodePlan } from './profile.ts'
import type { ClusterRecord } from './record.ts'
import type { Cluster, ClusterOptions, Place } from './types.ts'
import type { Wiring } from './wiring.ts'

/** Builds a cluster of network namespaces, after removing what dead owners of others left. */
export async function createCluster(options: ClusterOptions): Promise<Cluster> {
  cleanupLeftovers()
  const record = recordCluster()
  removeOnExit(record)
  try {
    return await build(record, options)
  } catch (error) {
    keepOnExit(record)
    removeCluster(record)
    throw error
  }
}

async function build(record: ClusterRecord, options: ClusterOptions): Promise<Cluster> {
  const families = options.families ?? allFamilies
  const objects = new ClusterFile(join(record.directory, 'cluster.json'))
  const setting = { record, families, options, clusterFile: objects.path }
  const count = options.nodes ?? 2
  const built = Array.from({ length: count }, (_, index) => makeNode(setting, index + 1))
  const lans = makeLans(record, options)
  const plans = built.map(({ plan }) => plan)
  await wireUp(clusterWiring(lans, plans))
  const nodes = built.map(({ node }) => node)
  await Promise.all(nodes.map((node) => node.addPods(podNames(options.podsPerNode ?? 0))))
  objects.put(...nodes.map((node) => nodeObject(node)))
  const close = closing(record)
  return {
    id: record.id,
    profile: options.profile,
    families,
    nodes,
    get pods() {
      return nodes.flatMap((node) => node.pods)
    },
    lan: lans[0]!.place,
    directory: record.directory,
    objects,
    clusterIp: (n, family = families[0]!) => serviceAddress(n, family),
    serviceCidrs: only(families, serviceRange),
    ...outskirtsKeeping({ record, lans, nodes: plans }),
    exposeOnLan: exposing(lans[0]!, close.before),
    close: close.run,
    [Symbol.asyncDispose]: close.run,
  }
}

function clusterWiring(lans: readonly MadeLan[], plans: readonly NodePlan[]): Wiring {
  const othersOf = (plan: NodePlan) => plans.filter((other) => other !== plan)
  return joinWirings(
    ...lans.map(({ lan }) => lanWiring(lan)),
    ...plans.flatMap((plan) =>
      nodeWiring(
        lans.map(({ lan }) => lan),
        plan,
      ),
    ),
    loopbackRoutes(lans[0]!.lan.netns, plans),
    ...plans.map((plan) => loopbackRoutes(plan.netns, othersOf(plan))),
    ...plans.map((plan) => profiles[plan.options.profile].node(plan, othersOf(plan))),
  )
}

interface MadeLan {
  readonly lan: Lan
  readonly place: Place
  readonly cgroup: string
}

function makeLans(record: ClusterRecord, options: ClusterOptions): MadeLan[] {
  const families = options.families ?? allFamilies
  return ([1, 2] as const).slice(0, options.uplinks ?? 1).map((number) => {
    const name = number === 1 ? 'lan' : 'lan2'
    const netns = `${record.prefix}${name}`
    const cgroup = join(record.cgroup, name)
    mkdirSync(cgroup)
    const addresses = only(families, lanAddresses(1, number))
    const place = makePlace(netns, { name, cgroup, addresses })
    return { lan: { number, netns, families, options }, place, cgroup }
  })
}

function exposing(
  { lan, place, cgroup }: MadeLan,
  open: { close(): void }[],
): Cluster['exposeOnLan'] {
  const host = place.addresses[lan.families.includes('IPv4') ? 'IPv4' : 'IPv6']
  return async (localPort, port = 6443) => {
    open.push(await exposePort({ netns: lan.netns, cgroup, host, port }, localPort))
    return hostPort(host, port)
  }
}

/** Closing once is enough; closing twice is allowed. */
function closing(record: ClusterRecord): {
  before: { close(): void }[]
  run: () => Promise<void>
} {
  const before: { close(): void }[] = []
  return {
    before,
    run() {
      for (const each of before.splice(0)) each.close()
      keepOnExit(record)
      removeCluster(record)
      return Promise.resolve()
    },
  }
}

/** a, b ... z, a1, b1 ... */
function podNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const round = Math.floor(index / 26)
    return String.fromCharCode(97 + (index % 26)) + (round === 0 ? '' : String(round))
  })
}
