import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dial } from '../cluster/traffic.ts'
import type { Cluster, Pod } from '../cluster/types.ts'
import { nameOf, serviceFor, servingForAll, untilServed } from './serving.ts'

/** Services 1, 2 and 3 have so many endpoints. */
const sizes = [3, 7, 100]
const questions = 2_000
const serving = servingForAll({ profile: 'bridge', podsPerNode: 52 }, {}, (cluster) =>
  sizes.flatMap((size, index) => serviceFor(cluster, index + 1, serversOf(cluster).slice(0, size))),
)

for (const [index, size] of sizes.entries())
  for (const [protocol, family] of [
    ['UDP', 'IPv4'],
    ['TCP', 'IPv6'],
  ] as const)
    test(`${protocol} ${family}: new flows spread evenly over ${size} endpoints`, async () => {
      const udp = protocol === 'UDP'
      const target = serving.vip(index + 1, family)
      await untilServed(clientsOf(serving.cluster)[0]!, target, { udp })
      const skew = () => measureSkew(target, { udp, endpoints: size })
      const first = await skew()
      /* By chance one try in a hundred is beyond the limit; two in a row are not by chance. */
      const last = first > chiSquareLimit(size - 1) ? await skew() : first
      assert.ok(last <= chiSquareLimit(size - 1), `chi-squared ${first}, again ${last}`)
    })

/** The last two pods of each node only ask. */
function clientsOf(cluster: Cluster): Pod[] {
  return cluster.nodes.flatMap((node) => node.pods.slice(-2))
}

function serversOf(cluster: Cluster): Pod[] {
  const clients = new Set(clientsOf(cluster))
  return cluster.pods.filter((pod) => !clients.has(pod))
}

/** Chi-squared of the answers that all clients together get, against an even spread. */
async function measureSkew(
  target: string,
  { udp, endpoints }: { udp: boolean; endpoints: number },
): Promise<number> {
  const options = { udp, count: questions, rate: 2_000, reset: true }
  const clients = clientsOf(serving.cluster)
  const reports = await Promise.all(clients.map((client) => dial(client, target, options)))
  const servers = serversOf(serving.cluster).slice(0, endpoints)
  const answers = servers.map((pod) =>
    reports.reduce((sum, { backends }) => sum + (backends[nameOf(pod)] ?? 0), 0),
  )
  const total = clients.length * questions
  assert.equal(
    answers.reduce((sum, count) => sum + count, 0),
    total,
    JSON.stringify(reports.map(({ failed }) => failed)),
  )
  const expected = total / endpoints
  return answers.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}

/** What chi-squared exceeds in one of a hundred even spreads (Wilson and Hilferty). */
function chiSquareLimit(freedom: number): number {
  const spread = 2 / (9 * freedom)
  return freedom * (1 - spread + 2.3263 * Math.sqrt(spread)) ** 3
}
