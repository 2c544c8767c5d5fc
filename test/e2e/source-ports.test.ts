import assert from 'node:assert/strict'
import { test } from 'node:test'
import { holdCrowd } from '../cluster/load.ts'
import { besiege, tablesOf, targetOf } from './flooded.ts'
import { readMetric } from './metrics-page.ts'

/* Source ports of a node towards one endpoint of another node. */
test('three thousand connections of one client to one endpoint elsewhere work at once', async (t) => {
  const besieged = await besiege(false)
  t.after(() => besieged.serving.cluster.close())
  const target = targetOf(besieged, 'remote')
  const crowd = await holdCrowd(besieged.client, target, 3_000)
  const { answered, failed } = crowd.opened
  assert.deepEqual({ answered, failed }, { answered: 3_000, failed: {} })
  assert.equal((await crowd.check()).checked, 3_000)
  await crowd.stop()
})

test('a thousand ports serve a thousand connections, tell of the others, and are used again', async (t) => {
  const besieged = await besiege(false, ['--snat-ports=40000-40999'])
  t.after(() => besieged.serving.cluster.close())
  const { serving, client } = besieged
  const target = targetOf(besieged, 'remote')
  const exhausted = () =>
    readMetric(serving.agents[0]!, 'kubeshunt_datapath_drops_total', 'snat_exhausted')
  const wanted = { rate: 1_000, timeoutMs: 1_500 }
  const crowd = await holdCrowd(client, target, 1_200, wanted)
  const { answered, failed } = crowd.opened
  /* The first questions, by which the test began, may still have a port or two. */
  assert.ok(answered >= 995 && answered <= 1_000, `${answered} were answered`)
  assert.deepEqual(failed, { timeout: 1_200 - answered })
  assert.ok((await exhausted()) >= 200, await tablesOf(besieged))
  assert.equal((await crowd.check()).checked, answered, 'those that work go on')
  await crowd.stop()
  const next = await holdCrowd(client, target, 900, wanted)
  assert.deepEqual([next.opened.answered, next.opened.failed], [900, {}], 'ports are used again')
  await next.stop()
})
