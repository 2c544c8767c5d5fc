import { test } from 'node:test'
import { deployedForAll } from '../deploy/deployed.ts'
import { imageForAll, withVersion } from '../deploy/root-file-system.ts'
import { updateWithSurge } from '../deploy/update.ts'

const image = imageForAll()
const deployed = deployedForAll(image, { profile: 'ptp', nodes: 1, podsPerNode: 2 })

test('ten updates of the pod and ten rollbacks disturb no traffic', async (t) => {
  const [old, next] = [image(), withVersion(image(), '99.0.0')]
  const images = Array.from({ length: 21 }, (_, n) => (n % 2 === 0 ? old : next))
  const silence = await updateWithSurge(deployed, images)
  t.diagnostic(`/livez was silent for ${silence} ms`)
})
