import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostPort } from '../cluster/addressing.ts'
import { nodeObject, service } from '../cluster/objects.ts'
import { dial } from '../cluster/traffic.ts'
import type { Family } from '../cluster/types.ts'
import {
  families,
  nameOf,
  podPort,
  servingForAll,
  slicesFor,
  untilServed,
  vipPort,
} from './serving.ts'

/*
 * A pod that dials a frontend meant for clients outside gets the cluster set at its own device,
 * whatever the external policy: the only endpoint is on the other node.
 */
const nodePort = 30_080
const ingress: Readonly<Record<Family, string>> = { IPv4: '198.51.100.7', IPv6: 'fd51::7' }

const serving = servingForAll({ profile: 'ptp' }, {}, (cluster) => [
  ...cluster.nodes.map((node) => nodeObject(node)),
  service({
    name: 'web1',
    type: 'LoadBalancer',
    ports: [{ name: 'tcp', port: vipPort, targetPort: podPort, nodePort }],
    clusterIps: cluster.families.map((family) => cluster.clusterIp(1, family)),
    ingressIps: Object.values(ingress),
    spec: { externalTrafficPolicy: 'Local' },
  }),
  ...slicesFor(1, [cluster.nodes[1]!.pod('a')]),
])

for (const family of families) {
  for (const [what, target] of [
    ['the node port of its node', () => hostPort(serving.node1.addresses[family], nodePort)],
    ['the load balancer', () => hostPort(ingress[family], vipPort)],
    ['the cluster IP', () => serving.vip(1, family)],
  ] as const) {
    test(`${family}: a pod gets an endpoint on another node at ${what}`, async () => {
      const client = serving.pod(1, 'a')
      await untilServed(client, target())
      const { ok, backends } = await dial(client, target(), { count: 20, rate: 500 })
      assert.deepEqual(
        { ok, backends },
        { ok: 20, backends: { [nameOf(serving.pod(2, 'a'))]: 20 } },
      )
    })
  }
}

test('other ports of a node address stay its own', async () => {
  const answer = await serving
    .pod(1, 'a')
    .exec([
      ...['curl', '--silent', '--max-time', '5', '--output', '/dev/null'],
      ...['--write-out', '%{http_code}', `http://${serving.node1.addresses.IPv4}:10256/healthz`],
    ])
  assert.equal(answer.stdout, '200')
})
