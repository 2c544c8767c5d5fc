import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  allFamilies,
  hostPort,
  lanAddresses,
  only,
  routerAddresses,
  serviceAddress,
} from './addressing.ts'
import { ClusterFile } from './cluster-file.ts'
import { exposePort } from './exposure.ts'
import { lanWiring, memberWiring, nodeWiring } from './lan.ts'
import { makeNode } from './node.ts'
import { nodeObject } from './objects.ts'
import { keepOnExit, removeOnExit } from './on-exit.ts'
import { makePlace } from './place.ts'
import { profiles } from './profile.ts'
import { recordCluster } from './record.ts'
import { cleanupLeftovers, removeCluster } from './removal.ts'
import { joinWirings, wireUp } from './wiring.ts'
import type { BuiltNode } from './node.ts'
import type { ClusterRecord } from './record.ts'
import type { Cluster, ClusterOptions, Family, Place } from './types.ts'

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
  const lan = makeLan(record, families)
  await wireUp(clusterWiring(lan.netns, built, options))
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
    lan,
    directory: record.directory,
    objects,
    clusterIp: (n, family = families[0]!) => serviceAddress(n, family),
    addMachine: machines(record, lan, families),
    async exposeOnLan(localPort, lanPort = 6443) {
      const host = families.includes('IPv4') ? lan.addresses.IPv4 : lan.addresses.IPv6
      close.before.push(
        await exposePort(
          { netns: lan.netns, cgroup: lanCgroup(record), host, port: lanPort },
          localPort,
        ),
      )
      return hostPort(host, lanPort)
    },
    close: close.run,
    [Symbol.asyncDispose]: close.run,
  }
}

function clusterWiring(lan: string, built: readonly BuiltNode[], options: ClusterOptions) {
  const plans = built.map(({ plan }) => plan)
  return joinWirings(
    lanWiring(lan, options.families ?? allFamilies),
    ...plans.map((plan) => nodeWiring(lan, plan)),
    ...plans.map((plan) =>
      profiles[options.profile].node(
        plan,
        plans.filter((other) => other !== plan),
      ),
    ),
  )
}

function makeLan(record: ClusterRecord, families: readonly Family[]): Place {
  const cgroup = lanCgroup(record)
  mkdirSync(cgroup)
  const addresses = only(families, routerAddresses)
  return makePlace(`${record.prefix}lan`, { name: 'lan', cgroup, addresses })
}

function lanCgroup(record: ClusterRecord): string {
  return join(record.cgroup, 'lan')
}

function machines(
  record: ClusterRecord,
  lan: Place,
  families: readonly Family[],
): (name: string) => Promise<Place> {
  let n = 200
  return async (name) => {
    const netns = `${record.prefix}${name}`
    const cgroup = join(record.cgroup, 'machines', name)
    mkdirSync(cgroup, { recursive: true })
    const number = n++
    await wireUp(memberWiring(lan.netns, { netns, n: number, families }))
    return makePlace(netns, { name, cgroup, addresses: only(families, lanAddresses(number)) })
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
