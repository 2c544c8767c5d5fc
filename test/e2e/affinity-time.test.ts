import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { askOnce, dial } from '../cluster/traffic.ts'
import type { Family, Pod } from '../cluster/types.ts'
import {
  eventually,
  families,
  nameOf,
  serviceFor,
  servingForAll,
  startAgent,
  untilServed,
} from './serving.ts'

/*
 * Services 1 and 2 forget a client after a moment; Service 3 remembers for long and Service 4 is
 * not sticky to begin with. All pods are clients and endpoints.
 */
const seconds = 3
const serving = servingForAll({ profile: 'ptp', podsPerNode: 3 }, {}, (cluster) => [
  ...serviceFor(cluster, 1, cluster.pods, sticky(seconds)),
  ...serviceFor(cluster, 2, cluster.pods, sticky(seconds)),
  ...serviceFor(cluster, 3, cluster.pods, sticky(10_800)),
  ...serviceFor(cluster, 4, cluster.pods),
])

function sticky(timeoutSeconds: number): Readonly<Record<string, unknown>> {
  return { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds } } }
}

/** The backends of Service `n` that one new connection of every client each meets. */
async function backendsOf(n: number): Promise<string[]> {
  const clients = serving.cluster.pods.flatMap((client) =>
    families.map((family) => backendOf(client, n, family)),
  )
  return Promise.all(clients)
}

async function backendOf(client: Pod, n: number, family: Family): Promise<string> {
  const answer = await askOnce(client, serving.vip(n, family))
  assert.ok(answer.ok, JSON.stringify(answer))
  return answer.name
}

test('a client is remembered for as long as it comes back in time, and no longer', async () => {
  for (const client of serving.cluster.pods)
    for (const n of [1, 2]) await untilServed(client, serving.vip(n, 'IPv6'))
  const [kept, left] = await Promise.all([backendsOf(1), backendsOf(2)])
  for (let visit = 0; visit < 2; visit++) {
    await pause(seconds * 667)
    assert.deepEqual(await backendsOf(1), kept)
  }
  /* That all twelve meet their old backend of six again by chance does not happen. */
  assert.notDeepEqual(await backendsOf(2), left)
})

test('a client that comes by TCP and one that comes by UDP are two', async () => {
  const reached = (udp: boolean) =>
    Promise.all(
      serving.cluster.pods.map(async (client) => {
        const { backends } = await dial(client, serving.vip(3), { udp, count: 10, rate: 400 })
        return Object.entries(backends).join(' ')
      }),
    )
  const [tcp, udp] = [await reached(false), await reached(true)]
  for (const one of [...tcp, ...udp]) assert.match(one, /^\S+,10$/)
  /* Nor do all six have the same backend of six for both by chance. */
  assert.notDeepEqual(udp, tcp)
  assert.deepEqual(await reached(false), tcp)
  assert.deepEqual(await reached(true), udp)
})

test('affinity that is switched on and off is for connections from then on', async () => {
  const { cluster, pod, vip } = serving
  const reached = async (): Promise<number> => {
    const { failures, backends } = await dial(pod(1, 'a'), vip(4), { count: 40, rate: 1_000 })
    assert.equal(failures, 0)
    return Object.keys(backends).length
  }
  for (let round = 0; round < 2; round++) {
    cluster.objects.put(serviceFor(cluster, 4, [], sticky(100))[0]!)
    await eventually(async () => assert.equal(await reached(), 1), 2_000)
    cluster.objects.put(serviceFor(cluster, 4, [])[0]!)
    await eventually(async () => assert.ok((await reached()) > 1), 2_000)
  }
})

test('endpoints that leave while the agent is dead lose their clients, the others keep theirs', async () => {
  const { cluster, node1, agents } = serving
  const clients = node1.pods
  const meet = () => Promise.all(clients.map((client) => backendOf(client, 3, 'IPv4')))
  for (const client of clients) await untilServed(client, serving.vip(3))
  const before = await meet()
  await agents[0]!.stop('SIGKILL')
  assert.deepEqual(await meet(), before)
  const rest = cluster.pods.filter((pod) => nameOf(pod) !== before[0])
  cluster.objects.put(...serviceFor(cluster, 3, rest, sticky(10_800)))
  await startAgent(node1)
  const after = await eventually(async () => {
    const now = await meet()
    assert.notEqual(now[0], before[0])
    return now
  })
  for (const [at, backend] of before.entries())
    if (backend !== before[0]) assert.equal(after[at], backend)
  assert.deepEqual(await meet(), after)
})
