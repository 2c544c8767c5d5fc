import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { network } from '../../src/datapath/abi.ts'
import { openNetwork, readNetwork, writeNetwork } from '../../src/datapath/network.ts'
import { parseServiceCidr } from '../../src/kube/parse-service-cidr.ts'
import { chooseServiceRanges } from '../../src/model/service-ranges.ts'
import { followServiceRanges } from '../../src/service-ranges.ts'

const nobody = { addresses: [], podCIDRs: [] }

describe('parseServiceCidr()', () => {
  const spec = { cidrs: ['10.96.0.7/12', 'fd00:10:96::/112'] }
  const both = ['10.96.0.0/12', 'fd00:10:96::/112']
  const ready = (status: string): object => ({ conditions: [{ type: 'Ready', status }] })
  const cases: readonly (readonly [what: string, raw: object, ranges: readonly string[]])[] = [
    ['one that is ready', { spec, status: ready('True') }, both],
    ['one that nobody has said anything of', { spec }, both],
    ['one with other conditions', { spec, status: { conditions: [{ type: 'X' }] } }, both],
    ['not one that is not accepted', { spec, status: ready('False') }, []],
    ['not one of which that is unknown', { spec, status: ready('Unknown') }, []],
    [
      'one that is going away, as its cluster IPs are still there',
      { spec, status: ready('False'), metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } },
      both,
    ],
    [
      'what can be read of one',
      { spec: { cidrs: ['10.0.0.0/33', 7, ' fd00::/64'] } },
      ['fd00::/64'],
    ],
    ['nothing of one that is something else', { spec: 'x', status: 7, metadata: [] }, []],
  ]
  for (const [what, raw, ranges] of cases) {
    it(`counts ${what}`, () => assert.deepEqual(parseServiceCidr(raw), ranges))
  }
})

describe('chooseServiceRanges()', () => {
  it('leaves out what is inside of others', () => {
    const { chosen, left } = chooseServiceRanges(
      ['10.96.1.0/24', '10.96.0.0/16', '10.96.0.0/16', 'fd00::/108', '10.97.0.0/16'],
      nobody,
    )
    assert.deepEqual(chosen, ['10.96.0.0/16', 'fd00::/108', '10.97.0.0/16'])
    assert.deepEqual(left, [])
  })

  const inhabited: readonly (readonly [string, string])[] = [
    ['172.16.0.0/16', 'holds an address of this node'],
    ['10.244.0.0/16', 'holds addresses of pods'],
    ['10.244.1.0/25', 'holds addresses of pods'],
    ['0.0.0.0/0', 'is too wide for cluster IPs'],
    ['::/0', 'is too wide for cluster IPs'],
    ['10.0.0.0/7', 'is too wide for cluster IPs'],
  ]
  for (const [range, reason] of inhabited) {
    it(`leaves ${range} out: it ${reason}`, () => {
      const around = { addresses: ['172.16.0.1', 'fd01::1'], podCIDRs: ['10.244.1.0/24'] }
      const { chosen, left } = chooseServiceRanges(['10.96.0.0/16', range], around)
      assert.deepEqual(chosen, ['10.96.0.0/16'])
      assert.deepEqual(left, [{ range, reason }])
    })
  }

  it('takes the widest of too many, families in turn, whatever their order', () => {
    const fours = [16, 17, 18, 19, 20, 21, 22].map((bits) => `10.${bits}.0.0/${bits}`)
    const sixes = ['fd00::/112', 'fd01::/64']
    const expected = [
      ...['10.16.0.0/16', 'fd01::/64', '10.17.0.0/17', 'fd00::/112'],
      ...['10.18.0.0/18', '10.19.0.0/19', '10.20.0.0/20', '10.21.0.0/21'],
    ]
    for (const all of [[...fours, ...sixes], [...sixes, ...fours].reverse()]) {
      const { chosen, left } = chooseServiceRanges(all, nobody)
      assert.deepEqual(chosen, expected)
      assert.deepEqual(left, [
        { range: '10.22.0.0/22', reason: 'is one more than the 8 there is room for' },
      ])
    }
  })
})

/** A map of one entry that remembers what was written to it. */
function fakeMap() {
  let bytes = Buffer.alloc(network.size)
  const writes: ReturnType<typeof network.parse>[] = []
  return {
    writes,
    get: () => bytes,
    set(_key: Buffer, value: Buffer) {
      bytes = Buffer.from(value)
      writes.push(network.parse(value))
      return this as never
    },
  }
}

describe('addresses of interfaces within service ranges', () => {
  const ranges = ['10.96.0.0/16', 'fd00::/112']

  it('are exempt, as NodeLocal DNS answers there', () => {
    const all = ['169.254.20.10', '10.96.0.10', '172.16.0.1', 'fd00::10', '10.96.0.10']
    const { chosen, exempt } = chooseServiceRanges(ranges, nobody, all)
    assert.deepEqual([chosen, exempt], [ranges, ['10.96.0.10', 'fd00::10']])
  })

  it('take room from ranges', () => {
    const eight = Array.from({ length: 8 }, (_, at) => `10.${at + 90}.0.0/16`)
    const { chosen, exempt, left } = chooseServiceRanges(eight, nobody, ['10.90.0.1'])
    assert.deepEqual([chosen.length, exempt, left.length], [7, ['10.90.0.1'], 1])
  })

  it('leave no ranges when there are many', () => {
    const many = Array.from({ length: 5 }, (_, at) => `10.96.0.${at}`)
    const { chosen, exempt, left } = chooseServiceRanges(ranges, nobody, many)
    assert.deepEqual([chosen, exempt], [[], []])
    const reasons = new Set(left.map(({ reason }) => reason))
    assert.deepEqual([...reasons], ['holds more than 4 addresses of interfaces'])
  })

  it('are written before the ranges and read back', () => {
    const map = fakeMap()
    const values = { tunnelPorts: [], serviceRanges: ranges, exempt: ['10.96.0.10', 'fd00::10'] }
    writeNetwork(map, values)
    const { range_count: count, exempt_count: exempt, service_ranges: all } = map.writes.at(-1)!
    assert.deepEqual([count, exempt, all[1]!.base, all[2]!.base], [4, 2, 'fd00::10', '10.96.0.0'])
    assert.deepEqual(readNetwork(map), values)
  })

  it('are followed', () => {
    const { follower, exempted } = follow(['10.96.0.0/16'])
    follower.interfaces(['10.96.0.10'])
    follower.interfaces([])
    assert.deepEqual(exempted, [[], ['10.96.0.10'], []])
  })
})

describe('the network map', () => {
  it('holds ports and ranges, masks over the mapped form', () => {
    const map = fakeMap()
    const values = {
      tunnelPorts: [8472, 6081],
      serviceRanges: ['10.96.0.0/12', 'fd00::/108'],
      exempt: [],
    }
    writeNetwork(map, values)
    const last = map.writes.at(-1)!
    assert.deepEqual(last.tunnel_ports, [8472, 6081, 0, 0])
    assert.equal(last.range_count, 2)
    assert.deepEqual(last.service_ranges.slice(0, 3), [
      { base: '10.96.0.0', mask: 'ffff:ffff:ffff:ffff:ffff:ffff:fff0:0' },
      { base: 'fd00::', mask: 'ffff:ffff:ffff:ffff:ffff:ffff:fff0:0' },
      { base: '::', mask: '::' },
    ])
    assert.deepEqual(readNetwork(map), values)
  })

  for (const range of ['0.0.0.0/0', '10.0.0.0/8', '10.1.2.3/32', '::/0', 'fd00::/1', '::1/128']) {
    it(`gives ${range} back`, () => {
      const map = fakeMap()
      writeNetwork(map, { tunnelPorts: [], serviceRanges: [range], exempt: [] })
      assert.deepEqual(readNetwork(map).serviceRanges, [range])
    })
  }

  it('has no ranges while they change, so that no base is read beside another mask', () => {
    const map = fakeMap()
    writeNetwork(map, { tunnelPorts: [], serviceRanges: ['10.96.0.0/12'], exempt: [] })
    writeNetwork(map, { tunnelPorts: [4789], serviceRanges: ['192.168.0.0/16'], exempt: [] })
    const seen = map.writes.map((one) => [one.range_count, one.service_ranges[0]!.base])
    assert.deepEqual(seen, [
      [0, '10.96.0.0'],
      [1, '10.96.0.0'],
      [0, '10.96.0.0'],
      [0, '192.168.0.0'],
      [1, '192.168.0.0'],
    ])
  })

  it('keeps one part when the other changes, over a restart as well', () => {
    const map = fakeMap()
    openNetwork(map).setTunnelPorts([8472])
    openNetwork(map).setServiceRanges(['10.96.0.0/16'], [])
    const owner = openNetwork(map)
    assert.deepEqual(owner.values(), {
      tunnelPorts: [8472],
      serviceRanges: ['10.96.0.0/16'],
      exempt: [],
    })
    const { length } = map.writes
    owner.setServiceRanges(['10.96.0.0/16'], [])
    owner.setTunnelPorts([8472])
    assert.equal(map.writes.length, length, 'what is there is not written again')
    owner.setTunnelPorts([])
    assert.deepEqual(readNetwork(map), {
      tunnelPorts: [],
      serviceRanges: ['10.96.0.0/16'],
      exempt: [],
    })
  })

  it('refuses more than there is room for', () => {
    const map = fakeMap()
    const ranges = Array.from({ length: 9 }, (_, at) => `10.${at}.0.0/16`)
    assert.throws(
      () => writeNetwork(map, { tunnelPorts: [], serviceRanges: ranges, exempt: [] }),
      RangeError,
    )
    assert.throws(
      () => writeNetwork(map, { tunnelPorts: [1, 2, 3, 4, 5], serviceRanges: [], exempt: [] }),
      RangeError,
    )
  })
})

interface Followed {
  readonly follower: ReturnType<typeof followServiceRanges>
  readonly written: (readonly string[])[]
  readonly exempted: (readonly string[])[]
  readonly warnings: string[]
}

function follow(given?: readonly string[]): Followed {
  const written: (readonly string[])[] = []
  const exempted: (readonly string[])[] = []
  const warnings: string[] = []
  const log = {
    info: () => undefined,
    warn: ({ value, reason }: { value?: unknown; reason?: unknown }) =>
      void warnings.push(`${String(value)} ${String(reason)}`),
  }
  const network = {
    setServiceRanges(ranges: readonly string[], exempt: readonly string[]): void {
      written.push(ranges)
      exempted.push(exempt)
    },
  }
  return { follower: followServiceRanges({ given, network, log }), written, exempted, warnings }
}

function cidr(name: string, ...cidrs: string[]): object {
  return { metadata: { name }, spec: { cidrs } }
}

describe('followServiceRanges()', () => {
  it('leaves the datapath as it was until the list is complete, then follows', () => {
    const { follower, written } = follow()
    follower.sink!.upsert(cidr('kubernetes', '10.96.0.0/16'))
    follower.node(nobody)
    assert.deepEqual(written, [])
    follower.sink!.synced()
    assert.deepEqual(written.at(-1), ['10.96.0.0/16'])
    follower.sink!.upsert(cidr('more', '10.98.0.0/16', 'fd00::/112'))
    assert.deepEqual(written.at(-1), ['10.96.0.0/16', 'fd00::/112', '10.98.0.0/16'])
    follower.sink!.remove({ namespace: '', name: 'kubernetes' })
    assert.deepEqual(written.at(-1), ['10.98.0.0/16', 'fd00::/112'])
  })

  it('does without where the server has none or forbids them, until it gives some', () => {
    const { follower, written } = follow()
    const health = { resource: 'ServiceCIDR', objects: 0, lastEvent: 0, restarts: 1, sinkErrors: 0 }
    follower.health({ ...health, synced: false, lastError: undefined })
    assert.deepEqual(written, [])
    follower.health({ ...health, synced: false, lastError: '403 Forbidden' })
    follower.health({ ...health, synced: false, lastError: '403 Forbidden' })
    assert.deepEqual(written, [[]])
    follower.sink!.upsert(cidr('kubernetes', '10.96.0.0/16'))
    follower.sink!.synced()
    follower.health({ ...health, synced: true, lastError: 'connection refused' })
    assert.deepEqual(written.at(-1), ['10.96.0.0/16'])
  })

  it('keeps to what is given by hand and asks for no objects', () => {
    const { follower, written } = follow(['10.96.0.0/16'])
    assert.equal(follower.sink, undefined)
    assert.deepEqual(written, [['10.96.0.0/16']])
    assert.deepEqual(follow([]).written, [[]])
  })

  it('leaves out a range once the node turns out to be in it, and says so once', () => {
    const { follower, written, warnings } = follow(['10.96.0.0/16', '172.16.0.0/16'])
    const node = { addresses: ['172.16.0.1'], podCIDRs: ['10.244.1.0/24'] }
    follower.node(node)
    follower.node(node)
    assert.deepEqual(written.at(-1), ['10.96.0.0/16'])
    assert.deepEqual(warnings, ['172.16.0.0/16 holds an address of this node'])
  })
})
