import { after, describe, test } from 'node:test'
import {
  assertUnharmed,
  besiege,
  endpoints,
  endure,
  tablesOf,
  untilDrained,
} from '../e2e/flooded.ts'

const seconds = Number(process.env['KUBE_SHUNT_FLOOD_SECONDS'] ?? 60)

for (const xdp of [false, true])
  describe(`${xdp ? 'XDP' : 'tc'}: a flood of connection requests`, async () => {
    const besieged = await besiege(xdp, ['--flow-table-entries=65536', '--midflow-grace=0s'])
    after(() => besieged.serving.cluster.close())

    for (const endpoint of endpoints)
      test(`for a ${endpoint} endpoint, ${seconds} s, harms nobody, and is forgotten`, async (t) => {
        const ordeal = await endure(besieged, { endpoint, seconds })
        const { flood, established, fresh, agentLoad } = ordeal
        t.diagnostic(JSON.stringify({ flood, agentLoad }))
        t.diagnostic(JSON.stringify({ established }))
        t.diagnostic(JSON.stringify({ fresh }))
        t.diagnostic(await tablesOf(besieged))
        assertUnharmed(ordeal)
        await untilDrained(besieged, 120_000)
        t.diagnostic(await tablesOf(besieged))
      })
  })
