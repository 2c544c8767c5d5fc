import { createCluster } from '../cluster/cluster.ts'
import { pingPong, startDial, startEchoServer } from '../cluster/traffic.ts'
import type { Dialling, PingPong } from '../cluster/traffic.ts'
import type { DialReport } from '../cluster/traffic-reports.ts'
import type { Agent, Cluster, ClusterNode, Profile } from '../cluster/types.ts'
import { Meter } from './meter.ts'
import { backendPort, makeServices, podNames, slicesOf } from './services.ts'
import type { Backend, DemoService } from './services.ts'

/** Requests from one client to one Service. */
export interface Stream {
  readonly service: DemoService
  readonly client: string
  readonly perSecond: number
  readonly dialling: Dialling
  readonly meter: Meter
}

/** Who looks after a node, and whether he is there. */
export interface Seat {
  readonly node: ClusterNode
  agent: Agent
  state: 'running' | 'killed' | 'starting'
}

/** Everything that plays. */
export interface Stage {
  readonly cluster: Cluster
  readonly services: readonly DemoService[]
  readonly seats: readonly Seat[]
  readonly streams: readonly Stream[]
  /** Connections that stay open from the first scene to the last. */
  readonly connections: PingPong
  /** Backends of `web` that are in its EndpointSlices now. */
  present: readonly Backend[]
}

/** How many connections stay open. */
export const connectionCount = 40

/** Builds cluster, Services and agents, then starts the traffic. */
export async function setStage(profile: Profile, say: (step: string) => void): Promise<Stage> {
  say(`building a cluster of network namespaces: 2 nodes, 9 pods, profile ${profile}, dual-stack`)
  const cluster = await createCluster({ profile, nodes: 2 })
  await Promise.all(
    cluster.nodes.map((node) => node.addPods(podNames[node.name as keyof typeof podNames])),
  )
  const services = makeServices(cluster)
  await Promise.all(
    services.flatMap(({ backends }) =>
      backends.map(({ pod }) => startEchoServer(pod, [backendPort])),
    ),
  )
  cluster.objects.put(
    ...services.flatMap((each) => [each.object, ...slicesOf(each, each.backends)]),
  )
  say('starting an agent on each node: kube-shunt run')
  const seats = await Promise.all(
    cluster.nodes.map(async (node): Promise<Seat> => ({
      node,
      agent: await node.startAgent(),
      state: 'running',
    })),
  )
  say(`starting traffic: ${connectionCount} connections to web that stay open, and new requests`)
  const traffic = await startTraffic(cluster, services)
  return { cluster, services, seats, present: services[0]!.backends, ...traffic }
}

async function startTraffic(
  cluster: Cluster,
  services: readonly DemoService[],
): Promise<Pick<Stage, 'streams' | 'connections'>> {
  const [web, dns, six, nobody] = services as [DemoService, DemoService, DemoService, DemoService]
  const connections = await pingPong(cluster.nodes[0]!.pod('client'), web.target, connectionCount, {
    timeoutMs: 2000,
  })
  const stream = (node: number, service: DemoService, perSecond: number): Stream => {
    const client = cluster.nodes[node]!.pod('client')
    const udp = service.protocol === 'UDP'
    const options = { rate: perSecond, udp, timeoutMs: 2000 }
    const dialling = startDial(client, service.target, options)
    const name = `client on ${client.node.name}`
    return { service, client: name, perSecond, dialling, meter: meterOf(dialling) }
  }
  const streams = [
    stream(0, web, 150),
    stream(1, web, 150),
    stream(0, dns, 100),
    stream(0, six, 60),
    stream(0, nobody, 5),
  ]
  await Promise.all(streams.map(({ dialling }) => dialling.until(() => true)))
  return { connections, streams }
}

const longestShowMs = 600_000

/** Sees every report: the predicate that never accepts is called for each. */
function meterOf(dialling: Dialling): Meter {
  const meter = new Meter()
  const feed = (report: DialReport): boolean => {
    meter.feed(report)
    return false
  }
  dialling.until(feed, longestShowMs).catch(() => undefined) // the traffic has ended
  return meter
}
