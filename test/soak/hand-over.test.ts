import { test } from 'node:test'
import { handOvers } from '../deploy/hand-over.ts'
import { serviceFor, servingForAll } from '../e2e/serving.ts'

const serving = servingForAll({ profile: 'ptp', podsPerNode: 3 }, {}, (cluster) =>
  serviceFor(
    cluster,
    1,
    cluster.pods.filter(({ name }) => name === 'a'),
  ),
)

test('twenty hand-overs to an agent that waited disturb no traffic', async () => {
  await serving.agents[0]!.stop()
  await handOvers(serving, 20)
})
