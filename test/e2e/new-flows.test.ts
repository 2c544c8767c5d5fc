import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dial } from '../cluster/traffic.ts'
import type { Pod } from '../cluster/types.ts'
import { sumMetric } from './metrics-page.ts'
import { serviceFor, servingForAll, untilServed } from './serving.ts'

const serving = servingForAll({ profile: 'bridge', podsPerNode: 4 }, {}, (cluster) =>
  serviceFor(cluster, 1, serversOf(cluster.pods)),
)

/* Entries leave `half_open` and enter `flows` all the time, on all CPUs at once. */
test('with many new flows a second no reply goes astray', async () => {
  const clients = serving.cluster.pods.filter(({ name }) => name === 'c' || name === 'd')
  const target = serving.vip(1)
  await untilServed(clients[0]!, target, { udp: true })
  const options = { udp: true, count: 4_000, rate: 2_500 }
  const reports = await Promise.all(clients.map((client) => dial(client, target, options)))
  const answered = reports.reduce((sum, { ok }) => sum + ok, 0)
  const received = await countDatagrams(clients, 'UdpInDatagrams')
  const sent = await countDatagrams(serversOf(serving.cluster.pods), 'UdpOutDatagrams')
  const reversed = await sumMetric(
    serving.agents,
    'kubeshunt_datapath_packets_total',
    'verdict="reverse"',
  )
  assert.ok(answered > 15_000, `${answered} answers`)
  assert.deepEqual({ received, reversed }, { received: sent, reversed: sent })
})

function serversOf(pods: readonly Pod[]): Pod[] {
  return pods.filter(({ name }) => name === 'a' || name === 'b')
}

async function countDatagrams(pods: readonly Pod[], counter: string): Promise<number> {
  const outputs = await Promise.all(pods.map((pod) => pod.exec(['nstat', '-asz', counter])))
  return outputs.reduce((sum, { stdout }) => sum + Number(/\n\w+\s+(\d+)/.exec(stdout)![1]), 0)
}
