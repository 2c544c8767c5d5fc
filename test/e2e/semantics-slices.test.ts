import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import type { KubeObject } from '../cluster/objects.ts'
import { askOnce, startDial, startEchoServer } from '../cluster/traffic.ts'
import type { Family, Pod } from '../cluster/types.ts'
import { readDump } from './programmed.ts'
import { rejected, slicesWith, untilOutcome, type Entry } from './semantics-outcome.ts'
import { eventually, families, nameOf, podPort, serviceFor, servingForAll } from './serving.ts'

/* Clients are a of both nodes, endpoints b and c; Services 1 and 2 have what a test gives them. */
const serving = servingForAll({ profile: 'ptp', podsPerNode: 3 }, {}, (cluster) => [
  ...[1, 2, 3].flatMap((n) => serviceFor(cluster, n, [])),
])

const otherPort = 9_090
const leaving = { ready: false, serving: true, terminating: true }

/** "1b" is pod b of node 1. */
function at(...short: readonly string[]): Entry[] {
  return short.map((text) => ({ pod: serving.pod(text.startsWith('1') ? 1 : 2, text.slice(1)) }))
}

/** What clients of Service `n` meet by family: pods as "1b", or an error. */
async function untilMet(n: number, expected: string, among = families): Promise<void> {
  const names = expected.replaceAll(/\b([12])([bc])\b/g, 'node$1/$2')
  const client = serving.pod(1, 'a')
  await Promise.all(
    among.map((family) => {
      const target = serving.vip(n, family)
      return expected === rejected
        ? untilRefused(client, target)
        : untilOutcome(client, target, names)
    }),
  )
}

/** Asks little: one client gets so many rejects and no more. */
async function untilRefused(client: Pod, target: string): Promise<void> {
  await eventually(async () => {
    const answer = await askOnce(client, target, { timeoutMs: 400 })
    assert.equal(answer.ok ? answer.name : answer.error, rejected)
  }, 2_000)
}

function put(...objects: readonly KubeObject[]): void {
  serving.cluster.objects.put(...objects)
}

/* Every test begins with Services that nobody is behind. */
beforeEach(async () => {
  const { objects } = serving.cluster
  const slices = objects.all().filter(({ kind }) => kind === 'EndpointSlice')
  objects.change({ remove: slices, put: [] })
  await Promise.all([1, 2, 3].map((n) => untilMet(n, rejected)))
})

/** The endpoints of Service `n` on node 1 as its TCP frontends have them, sorted. */
async function endpointsOf(n: number): Promise<string[]> {
  const frontends = await readDump(serving.node1)
  return frontends
    .filter(({ service, protocol }) => service === `default/web${n}` && protocol === 'TCP')
    .flatMap(({ backends }) => backends.map(({ address, port }) => `${address} ${port}`))
    .sort()
}

/** How `endpointsOf` tells these endpoints. */
function listed(entries: readonly Entry[], port = podPort): string[] {
  return entries
    .flatMap(({ pod }) => families.map((family) => `${pod.addresses[family]} ${port}`))
    .sort()
}

test('two slices make one Service; an endpoint that moves between them is never missed', async () => {
  const { cluster, pod, vip } = serving
  const [one, two] = [{ name: 'web1-one' }, { name: 'web1-two' }]
  put(...slicesWith(1, at('1b'), one), ...slicesWith(1, at('2b', '2c'), two))
  await untilMet(1, '1b 2b 2c')
  cluster.objects.change({ remove: slicesWith(1, [], two), put: [] })
  await untilMet(1, '1b')
  const canary = families.map((family) => startDial(pod(1, 'a'), vip(1, family), { rate: 100 }))
  await Promise.all(canary.map((dialling) => dialling.until(({ ok }) => ok > 0)))
  for (let round = 0; round < 2; round++) {
    /* Another endpoint beside it tells that a change was seen. */
    put(...slicesWith(1, at('1b', '2c'), two))
    await untilMet(1, '1b 2c')
    put(...slicesWith(1, [], one), ...slicesWith(1, at('1b', '2b'), two))
    await untilMet(1, '1b 2b')
    cluster.objects.change({
      remove: slicesWith(1, [], two),
      put: slicesWith(1, at('1b'), one),
    })
    await untilMet(1, '1b')
  }
  for (const dialling of canary) assert.deepEqual((await dialling.stop()).failed, {})
})

test('a slice given to another Service is forgotten by the first at once', async () => {
  const slice = (n: number): KubeObject[] => slicesWith(n, at('2b'), { name: 'moving' })
  put(...slicesWith(1, at('1b')), ...slice(1))
  await untilMet(1, '1b 2b')
  for (let round = 0; round < 3; round++) {
    put(...slice(2))
    await Promise.all([untilMet(1, '1b'), untilMet(2, '2b')])
    put(...slice(1))
    await Promise.all([untilMet(1, '1b 2b'), untilMet(2, rejected)])
  }
  put(...slice(2).map(withoutService))
  await Promise.all([untilMet(1, '1b'), untilMet(2, rejected)])
})

function withoutService(slice: KubeObject): KubeObject {
  return { ...slice, metadata: { ...slice.metadata, labels: {} } }
}

test('an endpoint that is listed twice counts once, by its better record', async () => {
  const second = { name: 'web1-second' }
  put(...slicesWith(1, at('1b', '2b', '1b')), ...slicesWith(1, at('2b', '1b'), second))
  await untilMet(1, '1b 2b')
  assert.deepEqual(await endpointsOf(1), listed(at('1b', '2b')))
  const asLeaving = at('1b').map((entry) => ({ ...entry, conditions: leaving }))
  for (const [first, last] of [
    [asLeaving, at('1b')],
    [at('1b'), asLeaving],
  ] as const) {
    put(...slicesWith(1, [...first, ...at('2c')]), ...slicesWith(1, last, second))
    await untilMet(1, '1b 2c')
    put(...slicesWith(1, at('2c')), ...slicesWith(1, asLeaving, second))
    await untilMet(1, '2c')
  }
})

test('each slice has its own number for a port name, and two numbers are two endpoints', async () => {
  const second = { name: 'web1-second', port: otherPort }
  const servers = await Promise.all(
    at('1b', '2c').map(({ pod }) =>
      startEchoServer(pod, [otherPort], { name: `${nameOf(pod)}-other` }),
    ),
  )
  put(...slicesWith(1, at('1b')), ...slicesWith(1, at('1b', '2c'), second))
  await untilMet(1, '1b 1b-other 2c-other')
  assert.deepEqual(await endpointsOf(1), [
    ...listed(at('1b'))
      .concat(listed(at('1b', '2c'), otherPort))
      .sort(),
  ])
  put(...slicesWith(1, at('1b'), { port: otherPort }))
  await untilMet(1, '1b-other 2c-other')
  /* A name that the Service does not have serves nobody. */
  put(...slicesWith(1, at('1b')), ...slicesWith(1, at('2c'), second).map(renamed))
  await untilMet(1, '1b')
  await Promise.all(servers.map((server) => server.stop()))
})

function renamed(slice: KubeObject): KubeObject {
  const ports = slice['ports'] as readonly { name: string }[]
  return { ...slice, ports: ports.map((port) => ({ ...port, name: `${port.name}-2` })) }
}

/** What the API leaves out or sets to null, and which of the endpoints are then used. */
const conditions: readonly (readonly [Entry['conditions'], used: boolean])[] = [
  [undefined, true],
  [null, true],
  [{}, true],
  [{ ready: null }, true],
  [{ ready: null, serving: null, terminating: null }, true],
  [{ ready: null, serving: false }, true],
  [{ ready: false, serving: null, terminating: true }, false],
  [{ ready: false, serving: true, terminating: null }, false],
  [{ serving: true, terminating: true }, true],
]

for (const [given, used] of conditions)
  test(`conditions ${JSON.stringify(given)} ${used ? 'are' : 'are not'} those of a usable endpoint`, async () => {
    const [entry] = at('2b')
    put(...slicesWith(1, [{ ...entry!, ...(given !== undefined && { conditions: given }) }]))
    put(...slicesWith(2, at(used ? '1c' : '1b')))
    await untilMet(2, used ? '1c' : '1b')
    await untilMet(1, used ? '2b' : rejected)
  })

test('every family has the endpoints of its own slices', async () => {
  const [four, six] = slicesWith(1, at('1b')) as [KubeObject, KubeObject]
  const [otherFour, otherSix] = slicesWith(1, at('2b')) as [KubeObject, KubeObject]
  const met = (IPv4: string, IPv6: string) =>
    Promise.all([untilMet(1, IPv4, ['IPv4']), untilMet(1, IPv6, ['IPv6'])])
  put(four)
  await met('1b', rejected)
  put(otherSix)
  await met('1b', '2b')
  /* An address of another family than its slice says is left out, its neighbours are not. */
  put(mixed(four, otherSix), mixed(six, otherFour))
  await met('1b', '1b')
  put(...[four, six].map((slice) => ({ ...slice, addressType: 'FQDN' })))
  await met(rejected, rejected)
  put(otherFour, { ...otherSix, addressType: 'IPv4' })
  await met('2b', rejected)
})

function mixed(slice: KubeObject, other: KubeObject): KubeObject {
  const endpointsIn = (one: KubeObject) => one['endpoints'] as readonly unknown[]
  return { ...slice, endpoints: [...endpointsIn(other), ...endpointsIn(slice)] }
}

test('a Service of one family has nothing at addresses of the other', async () => {
  const only = (family: Family): KubeObject => {
    const clusterIP = serving.cluster.clusterIp(3, family)
    const [object] = serviceFor(serving.cluster, 3, [])
    const spec = { ...(object!['spec'] as object), clusterIP, clusterIPs: [clusterIP] }
    return { ...object!, spec: { ...spec, ipFamilies: [family] } }
  }
  put(...slicesWith(3, at('2b')))
  await untilMet(3, '2b')
  for (const family of families) {
    put(only(family))
    await eventually(async () => {
      const frontends = await readDump(serving.node1)
      const addresses = frontends
        .filter(({ service }) => service === 'default/web3')
        .map(({ address }) => address)
      assert.deepEqual([...new Set(addresses)], [serving.cluster.clusterIp(3, family)])
    })
    await untilMet(3, '2b', [family])
  }
})
