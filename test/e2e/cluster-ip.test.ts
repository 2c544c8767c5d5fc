import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { dial } from '../cluster/traffic.ts'
import {
  families,
  nameOf,
  profiles,
  serviceFor,
  startServing,
  untilServed,
  type Serving,
} from './serving.ts'

/** Service 1 is served on the client's node, 2 on the other one, 3 on both. */
for (const profile of profiles)
  describe(`${profile}: ClusterIP`, () => {
    let serving: Serving
    before(async () => {
      serving = await startServing({ profile }, {}, (cluster) => {
        const [node1, node2] = cluster.nodes
        const near = node1!.pod('b')
        const far = node2!.pod('a')
        return [
          ...serviceFor(cluster, 1, [near]),
          ...serviceFor(cluster, 2, [far]),
          ...serviceFor(cluster, 3, [near, far]),
        ]
      })
      for (const family of families)
        await untilServed(serving.pod(1, 'a'), serving.vip(3, family), { udp: true })
    })
    after(() => serving.cluster.close())

    for (const family of families)
      for (const protocol of ['TCP', 'UDP']) {
        const udp = protocol === 'UDP'
        const ask = (n: number, client = serving.pod(1, 'a')) =>
          dial(client, serving.vip(n, family), { udp, count: 100, rate: 1000 })

        test(`${protocol} ${family}: a backend on the same node answers and sees the client`, async () => {
          const { ok, backends, peers } = await ask(1)
          assert.deepEqual(
            { ok, backends, peers },
            {
              ok: 100,
              backends: { [nameOf(serving.pod(1, 'b'))]: 100 },
              peers: { [serving.pod(1, 'a').addresses[family]]: 100 },
            },
          )
        })

        test(`${protocol} ${family}: a backend on another node answers and sees the client`, async () => {
          const { ok, backends, peers } = await ask(2)
          assert.deepEqual(
            { ok, backends, peers },
            {
              ok: 100,
              backends: { [nameOf(serving.pod(2, 'a'))]: 100 },
              peers: { [serving.pod(1, 'a').addresses[family]]: 100 },
            },
          )
        })

        test(`${protocol} ${family}: two backends share the work`, async () => {
          const { ok, backends } = await ask(3)
          assert.equal(ok, 100)
          const [near = 0, far = 0] = [serving.pod(1, 'b'), serving.pod(2, 'a')].map(
            (pod) => backends[nameOf(pod)],
          )
          assert.equal(near + far, 100)
          assert.ok(near >= 25 && far >= 25, JSON.stringify(backends))
        })

        test(`${protocol} ${family}: a pod that is its own only backend gets an answer`, async () => {
          const { ok, backends } = await ask(1, serving.pod(1, 'b'))
          assert.deepEqual([ok, backends], [100, { [nameOf(serving.pod(1, 'b'))]: 100 }])
        })

        test(`${protocol} ${family}: a pod that is one of two backends always gets an answer`, async () => {
          const { ok, backends } = await ask(3, serving.pod(1, 'b'))
          assert.equal(ok, 100)
          assert.equal(Object.keys(backends).length, 2, JSON.stringify(backends))
        })
      }
  })
