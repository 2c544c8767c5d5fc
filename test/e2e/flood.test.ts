import { test } from 'node:test'
import { assertUnharmed, besiege, endure } from './flooded.ts'

/*
 * At a rate that leaves other tests their packets: a core that is flooded drops anybody's. Those as
 * fast as one core can send, and what becomes of the tables afterwards, are in test/soak.
 */
const rate = 10_000
const flags = ['--flow-table-entries=65536', '--midflow-grace=0s']

const floods = [
  { xdp: false, endpoint: 'local', seconds: 6 },
  { xdp: false, endpoint: 'remote', seconds: 6 },
  { xdp: true, endpoint: 'remote', seconds: 6 },
] as const

for (const { xdp, ...flood } of floods)
  test(`${xdp ? 'XDP' : 'tc'}: a flood of a ${flood.endpoint} endpoint harms no connection, old or new`, async (t) => {
    const besieged = await besiege(xdp, flags)
    t.after(() => besieged.serving.cluster.close())
    assertUnharmed(await endure(besieged, { ...flood, rate }))
  })
