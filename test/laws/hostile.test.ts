import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createFakeCluster, type FakeCluster } from '../fakes/fake-cluster.ts'
import { rules } from './expected.ts'
import { hasCommonName, hostileObjects, type Hostile } from './hostile.ts'
import { checkReaders } from './readers.ts'

/*
 * 100 000 objects with odd values anywhere in them, and one good Service among them: nothing
 * throws, every map write is sound, and the good Service stays as it is.
 */
const objectsPerRun = 100
const runs = { numRuns: Number(process.env['LAW_RUNS'] ?? 1000) }
const limits = {
  keys: 4096,
  indexes: 2048,
  slots: 4096,
  ids: 2048,
  ranges: 64,
  tableSizes: [7, 17],
}
const canaryVip = '10.96.7.7'

/** Nobody is older, so that nobody can have its keys. */
const canary = {
  metadata: { namespace: 'ns', name: 'canary', uid: '' },
  spec: { type: 'NodePort', clusterIP: canaryVip, ports: [{ port: 443, nodePort: 31234 }] },
}
const canarySlice = {
  metadata: { namespace: 'ns', name: 'canary', labels: { 'kubernetes.io/service-name': 'canary' } },
  addressType: 'IPv4',
  ports: [{ port: 8443 }],
  endpoints: [{ addresses: ['10.244.0.7'], nodeName: 'here' }],
}
const here = {
  metadata: { name: 'here' },
  spec: { podCIDRs: ['10.244.0.0/24'] },
  status: { addresses: [{ type: 'InternalIP', address: '172.16.0.1' }] },
}

const object = hostileObjects([canaryVip, '10.244.0.7', '172.16.0.1', 31234])

/** A kind never has the canary's own name, as it would be the canary then. */
function send(cluster: FakeCluster, [kind, raw, name]: Hostile): void {
  const { metadata } = raw as { metadata: unknown }
  if (typeof metadata === 'object' && metadata !== null) {
    const named = metadata as Record<string, unknown>
    if (hasCommonName(named['name'])) named['name'] = `evil-${name}`
    if (named['name'] === 'canary') return
  }
  cluster.send(kind, raw)
}

function linesOfCanary(cluster: FakeCluster): string {
  return cluster
    .dump({ plain: true })
    .split('\n')
    .filter((line) => line.includes('ns/canary') || line === `VIP ${canaryVip}`)
    .join('\n')
}

describe('hostile objects', () => {
  it('do no harm to others', () => {
    let seen = 0
    fc.assert(
      fc.property(
        fc.array(object, { minLength: objectsPerRun, maxLength: objectsPerRun }),
        (all) => {
          const cluster = createFakeCluster(limits, rules)
          for (const good of [here, canary, canarySlice]) {
            const kind = good === here ? 'Node' : good === canary ? 'Service' : 'EndpointSlice'
            cluster.upsert(kind, good)
          }
          cluster.pass()
          const before = linesOfCanary(cluster)
          assert.match(before, /FRONTEND 172.16.0.1:31234/)
          for (const [at, one] of all.entries()) {
            send(cluster, one)
            seen++
            if (at % 20 !== 19) continue
            cluster.now += 300
            cluster.pass()
            assert.equal(linesOfCanary(cluster), before)
          }
          checkReaders(cluster.maps)
        },
      ),
      runs,
    )
    assert.ok(seen >= runs.numRuns * objectsPerRun)
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
  })
})
