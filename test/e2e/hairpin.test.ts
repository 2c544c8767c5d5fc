import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hostPort } from '../cluster/addressing.ts'
import { nodeObject } from '../cluster/objects.ts'
import { askOnce, measureLatency, pingPong, type PingPong } from '../cluster/traffic.ts'
import type { Pod } from '../cluster/types.ts'
import {
  families,
  podPort,
  profiles,
  serviceFor,
  startServing,
  untilServed,
  vipPort,
  type Serving,
} from './serving.ts'

/*
 * A pod that is the only backend of the Service it dials: cluster-ip.test.ts has new connections,
 * here are lasting and large ones, other frontends than the cluster IP, and another agent.
 */
const nodePort = 30_083
const port = { port: vipPort, targetPort: podPort, nodePort }
const ports = [
  { ...port, name: 'tcp', protocol: 'TCP' },
  { ...port, name: 'udp', protocol: 'UDP' },
]
const balancer = ['198.51.100.83', 'fd51::83']

describe('a pod that reaches itself', { concurrency: 2 }, () => {
  for (const profile of profiles)
    test(`${profile}: through every frontend, for long and with much, also when the agent is killed`, async () => {
      const options = { profile, nodes: 1, podsPerNode: 1 }
      const serving = await startServing(options, {}, (cluster) => {
        const node = cluster.nodes[0]!
        const spec = { type: 'LoadBalancer', ports }
        const [object, ...slices] = serviceFor(cluster, 1, [node.pod('a')], spec)
        const status = { loadBalancer: { ingress: balancer.map((ip) => ({ ip })) } }
        return [nodeObject(node), { ...object!, status }, ...slices]
      })
      try {
        await reachesItself(serving)
      } finally {
        await serving.cluster.close()
      }
    })
})

async function reachesItself(serving: Serving): Promise<void> {
  const self = serving.pod(1, 'a')
  const targets = families.flatMap((family, index) => [
    serving.vip(1, family),
    hostPort(serving.node1.addresses[family], nodePort),
    hostPort(balancer[index]!, vipPort),
  ])
  for (const target of targets) await untilServed(self, target)
  const flows = await Promise.all(targets.flatMap((target) => lasting(self, target)))
  for (const target of targets) await isHairpinned(self, target)
  const byName = Object.fromEntries(targets.map((target, index) => [`target${index}`, target]))
  const transfers = await measureLatency(self, byName, {
    ...{ mode: 'crr', ask: 'send 1000000', count: 1, warmup: 0 },
  })
  for (const { errors, bytes } of transfers)
    assert.deepEqual([errors, bytes > 1_000_000], [0, true])
  await serving.agents[0]!.restart('SIGKILL')
  for (const target of targets) await untilServed(self, target)
  for (const flow of flows) {
    const { open, resets, closed, timeouts, switched } = await flow.stop()
    assert.deepEqual([open, resets, closed, timeouts, switched], [2, 0, 0, 0, 0])
  }
}

function lasting(self: Pod, target: string): Promise<PingPong>[] {
  return [false, true].map((udp) =>
    pingPong(self, target, 2, { udp, intervalMs: 50, timeoutMs: 3_000 }),
  )
}

/** The pod must not see its own address as that of its client: the answer would never leave it. */
async function isHairpinned(self: Pod, target: string): Promise<void> {
  for (const udp of [false, true]) {
    const answer = await askOnce(self, target, { udp })
    assert.ok(answer.ok, JSON.stringify(answer))
    assert.ok(!Object.values(self.addresses).includes(answer.peer), `seen as ${answer.peer}`)
  }
}
