import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describe as describeOp } from '../../src/datapath/apply.ts'
import { decodeRange, encodeRange } from '../../src/datapath/encode-range.ts'
import { decodeDump } from '../../src/datapath/restore.ts'
import { sourceRangeKey } from '../../src/datapath/abi.ts'
import type { SourceRangeKinds } from '../../src/model/source-ranges.ts'
import type { MapOp } from '../../src/plan/image.ts'
import { refusals, wakeAt } from '../../src/plan/plan.ts'
import { createFakeCluster, type FakeCluster } from '../fakes/fake-cluster.ts'
import { smallLimits, trieKey } from '../fakes/fake-maps.ts'

interface Options {
  readonly kinds?: SourceRangeKinds
  readonly ranges?: number
}

function createCluster({ kinds = 'load-balancer', ranges = 8 }: Options = {}): FakeCluster {
  const rules = {
    nodePortAddresses: { kind: 'primary' },
    externalRanges: ['192.0.2.0/24'],
    sourceRangeKinds: kinds,
  } as const
  const cluster = createFakeCluster({ ...smallLimits, ranges }, rules)
  cluster.upsert('Node', {
    metadata: { name: 'here' },
    status: { addresses: [{ type: 'InternalIP', address: '172.16.0.1' }] },
  })
  return cluster
}

function put(cluster: FakeCluster, name: string, ranges?: readonly string[], number = 1): void {
  cluster.upsert('Service', {
    metadata: { name, uid: name },
    spec: {
      type: 'LoadBalancer',
      clusterIPs: [`10.96.0.${number}`, `fd00::${number}`],
      externalIPs: [`192.0.2.${number}`],
      ports: [{ port: 80, nodePort: 30_000 + number }],
      loadBalancerSourceRanges: ranges,
    },
    status: {
      loadBalancer: { ingress: [{ ip: `198.51.100.${number}` }, { ip: `2001:db8::${number}` }] },
    },
  })
}

/** What each frontend lets in, '' for everybody. */
function admitted(cluster: FakeCluster): Record<string, string> {
  const lines = cluster.dump({ plain: true }).matchAll(/^FRONTEND (\S+) (.*)$/gm)
  return Object.fromEntries(
    [...lines].map(([, key = '', about = '']) => [
      key.replace(/\/TCP$/, ''),
      /source-ranges=(\S+)/.exec(about)?.[1] ?? '',
    ]),
  )
}

function stored(cluster: FakeCluster): string[] {
  return decodeDump(cluster.maps.dump())
    .ranges.map(({ index, range }) => `${index} ${range}`)
    .sort()
}

function texts(ops: readonly MapOp[]): string[] {
  return ops.map((op) =>
    op.kind === 'word' ? `${describeOp(op)} ${op.word.hasRanges}` : describeOp(op),
  )
}

const range = '203.0.113.0/24'

describe('loadBalancerSourceRanges', () => {
  it('are for the addresses of load balancers, each family its own', () => {
    const cluster = createCluster()
    put(cluster, 'a', [range, '10.0.0.0/8', 'fd00::/8'])
    cluster.pass()
    assert.deepEqual(admitted(cluster), {
      '10.96.0.1:80': '',
      '[fd00::1]:80': '',
      '192.0.2.1:80': '',
      '172.16.0.1:30001': '',
      '198.51.100.1:80': `10.0.0.0/8,${range}`,
      '[2001:db8::1]:80': 'fd00::/8',
    })
  })

  it('are for every address but the cluster IPs when that is asked for', () => {
    const cluster = createCluster({ kinds: 'external' })
    put(cluster, 'a', [range])
    cluster.pass()
    assert.deepEqual(admitted(cluster), {
      '10.96.0.1:80': '',
      '[fd00::1]:80': '',
      '192.0.2.1:80': range,
      '172.16.0.1:30001': range,
      '198.51.100.1:80': range,
      '[2001:db8::1]:80': 'none',
    })
  })

  const closed: readonly (readonly [
    what: string,
    ranges: readonly string[],
    four: string,
    six: string,
  ])[] = [
    ['of one family let nobody of the other in', ['fd00::/8'], 'none', 'fd00::/8'],
    ['that cannot be read let nobody in', ['nonsense', '10.0.0.0/33'], 'none', 'none'],
    ['that are readable in part let those in', ['nonsense', range], range, 'none'],
    ['that cover a family let everybody of it in', ['0.0.0.0/0', range], '', 'none'],
    ['that are empty let everybody in', [], '', ''],
  ]
  for (const [what, ranges, four, six] of closed) {
    it(what, () => {
      const cluster = createCluster()
      put(cluster, 'a', ranges)
      cluster.pass()
      const { '198.51.100.1:80': isFour, '[2001:db8::1]:80': isSix } = admitted(cluster)
      assert.deepEqual([isFour, isSix], [four, six])
    })
  }

  it('are there before the word asks for them, and go when it no longer does', () => {
    const cluster = createCluster()
    put(cluster, 'a')
    cluster.pass()
    put(cluster, 'a', [range])
    assert.deepEqual(texts(cluster.pass()), [
      `write source_ranges[2 ${range}]`,
      'write frontend_words[2] (default/a) true',
      'write frontend_words[6] (default/a) true',
    ])
    put(cluster, 'a', ['10.0.0.0/8'])
    assert.deepEqual(texts(cluster.pass()), [
      'write source_ranges[2 10.0.0.0/8]',
      `delete source_ranges[2 ${range}]`,
    ])
    put(cluster, 'a')
    assert.deepEqual(texts(cluster.pass()), [
      'write frontend_words[2] (default/a) false',
      'write frontend_words[6] (default/a) false',
      'delete source_ranges[2 10.0.0.0/8]',
    ])
    assert.deepEqual(stored(cluster), [])
  })

  it('go with their Service, behind its keys and before its name', () => {
    const cluster = createCluster()
    put(cluster, 'a', [range])
    cluster.pass()
    cluster.remove('Service', 'default/a')
    const all = texts(cluster.pass())
    const at = all.indexOf(`delete source_ranges[2 ${range}]`)
    assert.ok(at > all.findLastIndex((text) => text.startsWith('delete frontends')), all.join('\n'))
    assert.ok(at < all.findIndex((text) => text.startsWith('clear frontend_names')))
  })

  it('that do not fit let nobody in, harm nobody else and enter when there is room', () => {
    const cluster = createCluster({ ranges: 3 })
    put(cluster, 'a', ['10.0.0.0/8', '10.1.0.0/16'], 1)
    put(cluster, 'b', ['10.2.0.0/16', '10.3.0.0/16'], 2)
    put(cluster, 'c', undefined, 3)
    cluster.pass()
    const now = admitted(cluster)
    assert.equal(now['198.51.100.1:80'], '10.0.0.0/8,10.1.0.0/16')
    assert.equal(now['198.51.100.2:80'], '10.2.0.0/16')
    assert.equal(now['198.51.100.3:80'], '')
    assert.deepEqual(
      refusals(cluster.state).map(({ service, kind, reason, detail }) => [
        service,
        kind,
        reason,
        detail,
      ]),
      [
        [
          'default/b',
          'LoadBalancer',
          'source-ranges-full',
          'no room for 1 ranges, which let nobody in',
        ],
      ],
    )
    assert.equal(wakeAt(cluster.state), undefined)
    put(cluster, 'a', ['10.0.0.0/8'], 1)
    cluster.pass()
    assert.equal(wakeAt(cluster.state), 0)
    cluster.pass()
    assert.equal(admitted(cluster)['198.51.100.2:80'], '10.2.0.0/16,10.3.0.0/16')
    assert.deepEqual(refusals(cluster.state), [])
  })

  it('that change all at once in a full map never open the frontend', () => {
    const cluster = createCluster({ ranges: 2 })
    put(cluster, 'a', ['10.0.0.0/8', '10.1.0.0/16'])
    cluster.pass()
    put(cluster, 'a', ['10.2.0.0/16', '10.3.0.0/16'])
    cluster.pass((op) => assert.ok(op.kind !== 'word' || op.word.hasRanges))
    assert.equal(admitted(cluster)['198.51.100.1:80'], 'none')
    cluster.pass()
    assert.equal(admitted(cluster)['198.51.100.1:80'], '10.2.0.0/16,10.3.0.0/16')
  })

  it('wait for the room that another Service leaves in the same pass', () => {
    const cluster = createCluster({ ranges: 1 })
    put(cluster, 'a', [range], 1)
    cluster.pass()
    put(cluster, 'a', undefined, 1)
    put(cluster, 'b', [range], 2)
    cluster.pass()
    assert.equal(admitted(cluster)['198.51.100.2:80'], 'none')
    assert.equal(wakeAt(cluster.state), 0)
    cluster.pass()
    assert.equal(admitted(cluster)['198.51.100.2:80'], range)
  })

  it('survive a restart, and what a crash left of others goes at the first pass', () => {
    const cluster = createCluster()
    put(cluster, 'a', [range])
    cluster.pass()
    assert.deepEqual(cluster.restart(), [])
    const key = Buffer.alloc(sourceRangeKey.size)
    const leave = (index: number, text: string): void => {
      encodeRange(key, 0, { index, range: text })
      cluster.maps.ranges.add(trieKey(key))
    }
    leave(2, '10.9.0.0/16') // of a, which does not want it
    leave(3, '10.9.0.0/16') // of a frontend without ranges
    leave(9, '10.9.0.0/16') // of an index that nobody has
    leave(60_000, '10.9.0.0/16') // of none
    key.writeUInt32LE(8) // of all frontends
    cluster.maps.ranges.add(trieKey(key))
    put(cluster, 'b', undefined, 2)
    const ops = cluster.restart()
    assert.ok(!ops.some((op) => op.kind === 'name' && op.index === 9), 'index 9 rests')
    assert.deepEqual(stored(cluster), [`2 ${range}`])
    assert.equal(cluster.maps.ranges.size, 1)
  })
})

describe('keys of source_ranges', () => {
  const samples: readonly (readonly [range: string, bits: number, address: string])[] = [
    ['203.0.113.0/24', 32 + 96 + 24, '00000000000000000000ffffcb007100'],
    ['0.0.0.0/0', 32 + 96, '00000000000000000000ffff00000000'],
    ['10.1.2.3/32', 32 + 128, '00000000000000000000ffff0a010203'],
    ['fd00::/8', 32 + 8, 'fd000000000000000000000000000000'],
    ['::/0', 32, '00000000000000000000000000000000'],
    ['2001:db8::1/128', 32 + 128, '20010db8000000000000000000000001'],
  ]
  for (const [text, bits, address] of samples) {
    it(`count the bits of the frontend and of the mapped address: ${text}`, () => {
      const key = Buffer.alloc(sourceRangeKey.size)
      encodeRange(key, 0, { index: 7, range: text })
      assert.deepEqual([key.readUInt32LE(0), key.readUInt32LE(4)], [bits, 7])
      assert.equal(key.subarray(8).toString('hex'), address)
      assert.deepEqual(decodeRange(key), { index: 7, range: text })
    })
  }

  it('mean the same whatever is behind the prefix', () => {
    const key = Buffer.alloc(sourceRangeKey.size)
    encodeRange(key, 0, { index: 7, range: '203.0.113.77/32' })
    key.writeUInt32LE(32 + 96 + 23)
    assert.deepEqual(decodeRange(key), { index: 7, range: '203.0.112.0/23' })
  })

  it('of several frontends or too long are none', () => {
    const key = Buffer.alloc(sourceRangeKey.size)
    for (const bits of [0, 31, 161]) {
      key.writeUInt32LE(bits)
      assert.equal(decodeRange(key), undefined)
    }
    assert.equal(decodeRange(key.subarray(1)), undefined)
  })
})
