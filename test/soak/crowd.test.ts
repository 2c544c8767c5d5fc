import assert from 'node:assert/strict'
import { test } from 'node:test'
import { holdCrowd } from '../cluster/load.ts'
import { besiege, endpoints, targetOf, tablesOf } from '../e2e/flooded.ts'

for (const endpoint of endpoints)
  for (const xdp of [false, true])
    test(`fifty thousand connections to one ${endpoint} endpoint, XDP ${xdp}`, async (t) => {
      const besieged = await besiege(xdp, ['--flow-table-entries=524288'])
      t.after(() => besieged.serving.cluster.close())
      const options = { rate: 5_000, timeoutMs: 30_000 }
      const crowd = await holdCrowd(besieged.client, targetOf(besieged, endpoint), 50_000, options)
      const { answered, open, failed, seconds } = crowd.opened
      t.diagnostic(`${answered} answered after ${seconds} s`)
      assert.deepEqual({ answered, open, failed }, { answered: 50_000, open: 50_000, failed: {} })
      assert.equal((await crowd.check()).checked, 50_000)
      t.diagnostic(await tablesOf(besieged))
      await crowd.stop()
    })
