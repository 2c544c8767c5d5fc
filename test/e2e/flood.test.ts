import { describe, test } from 'node:test'
import { assertUnharmed, besiege, endpoints, endure } from './flooded.ts'

/* The long ones, and what becomes of the tables afterwards, are in test/soak. */
const flags = ['--flow-table-entries=65536', '--midflow-grace=0s']

for (const xdp of [false, true])
  describe(`${xdp ? 'XDP' : 'tc'}: eight seconds of a flood of connection requests`, () => {
    for (const endpoint of xdp ? (['remote'] as const) : endpoints)
      test(`to a ${endpoint} endpoint harm no connection, old or new`, async () => {
        const besieged = await besiege(xdp, flags)
        await using _cluster = besieged.serving.cluster
        assertUnharmed(await endure(besieged, { endpoint, seconds: xdp ? 8 : 4 }))
      })
  })
