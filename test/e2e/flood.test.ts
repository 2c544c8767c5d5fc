import { test } from 'node:test'
import { assertUnharmed, besiege, endure } from './flooded.ts'

/* The long ones, and what becomes of the tables afterwards, are in test/soak. */
const flags = ['--flow-table-entries=65536', '--midflow-grace=0s']

const floods = [
  { xdp: false, endpoint: 'local', seconds: 4 },
  { xdp: false, endpoint: 'remote', seconds: 4 },
  /* XDP leaves the sender's core, and the receiver's is also everybody else's here. */
  { xdp: true, endpoint: 'remote', seconds: 6, rate: 20_000 },
] as const

for (const { xdp, ...flood } of floods)
  test(`${xdp ? 'XDP' : 'tc'}: a flood of a ${flood.endpoint} endpoint harms no connection, old or new`, async (t) => {
    const besieged = await besiege(xdp, flags)
    t.after(() => besieged.serving.cluster.close())
    assertUnharmed(await endure(besieged, flood))
  })
