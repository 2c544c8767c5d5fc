import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ExposureRules } from '../../src/model/exposure.ts'
import { coversFamily, rangeTest } from '../../src/model/ranges.ts'
import { createFakeCluster, type FakeCluster } from '../fakes/fake-cluster.ts'
import { smallLimits } from '../fakes/fake-maps.ts'

const node = {
  metadata: { name: 'here' },
  spec: { podCIDRs: ['10.244.1.0/24'] },
  status: {
    addresses: [
      { type: 'Hostname', address: 'here' },
      { type: 'ExternalIP', address: '203.0.113.9' },
      { type: 'InternalIP', address: '172.16.0.1' },
      { type: 'InternalIP', address: 'fd10::1' },
    ],
  },
}

function createCluster(rules: Partial<ExposureRules> = {}): FakeCluster {
  const cluster = createFakeCluster(smallLimits, {
    nodePortAddresses: { kind: 'primary' },
    externalRanges: [],
    sourceRangeKinds: 'load-balancer',
    ...rules,
  })
  cluster.upsert('Node', node)
  cluster.setInterfaceAddresses(['127.0.0.1', '::1', 'fe80::1', '172.16.0.1', '192.168.7.7'])
  return cluster
}

function upsert(cluster: FakeCluster, name: string, spec: object, status: object = {}): void {
  cluster.upsert('Service', {
    metadata: { name, uid: name, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { clusterIP: '10.96.0.1', ports: [{ port: 80, nodePort: 30080 }], ...spec },
    status,
  })
}

function balancer(...ingress: object[]): object {
  return { loadBalancer: { ingress } }
}

/** Keys, kinds and VIPs in the maps. */
function keys(cluster: FakeCluster): string[] {
  cluster.pass()
  return cluster
    .dump()
    .split('\n')
    .flatMap((line) => {
      const [what, key, kind] = line.split(' ')
      if (what === 'VIP') return [`VIP ${key}`]
      return what === 'FRONTEND' ? [`${kind} ${key}`] : []
    })
}

function reasons(cluster: FakeCluster, name = 'web'): string[] {
  const list = cluster.refusals.get(`default/${name}`) ?? []
  return list.map(({ value, reason }) => `${value} ${reason}`)
}

const clusterIP = ['ClusterIP 10.96.0.1:80/TCP']
const vip = ['VIP 10.96.0.1']

describe('NodePort addresses', () => {
  const cases: readonly (readonly [string, ExposureRules['nodePortAddresses'], string[]])[] = [
    ['the first internal one by default', { kind: 'primary' }, ['172.16.0.1']],
    ['all local ones', { kind: 'all' }, ['172.16.0.1', '192.168.7.7', '203.0.113.9']],
    ['those in ranges', { kind: 'ranges', ranges: ['192.168.0.0/16'] }, ['192.168.7.7']],
    ['none, where ranges hit none', { kind: 'ranges', ranges: ['10.0.0.0/8'] }, []],
  ]
  for (const [name, nodePortAddresses, expected] of cases) {
    it(name, () => {
      const cluster = createCluster({ nodePortAddresses })
      upsert(cluster, 'web', { type: 'NodePort' })
      const ports = expected.map((address) => `NodePort ${address}:30080/TCP`)
      assert.deepEqual(keys(cluster), [...clusterIP, ...ports, ...vip])
    })
  }

  it('follow the node and never make its address a VIP', () => {
    const cluster = createCluster()
    upsert(cluster, 'web', { type: 'NodePort' })
    cluster.pass()
    const addresses = [{ type: 'InternalIP', address: '172.16.0.2' }]
    cluster.upsert('Node', { ...node, status: { addresses } })
    assert.deepEqual(keys(cluster), [...clusterIP, 'NodePort 172.16.0.2:30080/TCP', ...vip])
  })

  it('are served in the families of the Service only', () => {
    const cluster = createCluster()
    upsert(cluster, 'web', { type: 'NodePort', clusterIPs: ['fd96::1'] })
    const six = ['NodePort [fd10::1]:30080/TCP', 'ClusterIP [fd96::1]:80/TCP']
    assert.deepEqual(keys(cluster), [...six, 'VIP fd96::1'])
  })

  it('leave the ports of the node itself alone', () => {
    const cluster = createCluster()
    const numbers = [22, 2379, 6443, 10250, 10256]
    const ports = numbers.map((nodePort) => ({ name: `p${nodePort}`, port: nodePort, nodePort }))
    upsert(cluster, 'web', { type: 'NodePort', ports })
    assert.deepEqual(
      keys(cluster).filter((key) => key.startsWith('NodePort')),
      [],
    )
    assert.equal(reasons(cluster).length, numbers.length)
  })

  it('go to the older of two Services, and to the other when that goes', () => {
    const cluster = createCluster()
    upsert(cluster, 'a', { type: 'NodePort' })
    upsert(cluster, 'b', { type: 'NodePort', clusterIP: '10.96.0.2' })
    cluster.pass()
    assert.match(cluster.dump(), /172.16.0.1:30080\/TCP NodePort default\/a /)
    cluster.remove('Service', 'default/a')
    cluster.pass()
    assert.match(cluster.dump(), /172.16.0.1:30080\/TCP NodePort default\/b /)
  })
})

describe('load balancer addresses', () => {
  const balanced = { type: 'LoadBalancer', ports: [{ port: 80 }] }
  const cases: readonly (readonly [string, object, object[], string | undefined])[] = [
    ['served where the balancer does not ask for the traffic', {}, [{ ip: '198.51.100.1' }], ''],
    ['an unknown ipMode means VIP', {}, [{ ip: '198.51.100.1', ipMode: 'X' }], ''],
    ['ipMode Proxy', {}, [{ ip: '198.51.100.1', ipMode: 'Proxy' }], undefined],
    ['an address of the node', {}, [{ ip: '172.16.0.1' }], '172.16.0.1 is an address of this node'],
    ['an address of pods', {}, [{ ip: '10.244.1.7' }], '10.244.1.7 is an address of pods'],
    [
      'the cluster IP of another Service',
      {},
      [{ ip: '10.96.0.10' }],
      '10.96.0.10 is the cluster IP of Service default/dns',
    ],
    [
      'source ranges, which the packet programs check',
      { loadBalancerSourceRanges: ['203.0.113.0/24'] },
      [{ ip: '198.51.100.1' }],
      '',
    ],
  ]
  for (const [name, spec, ingress, reason] of cases) {
    it(name, () => {
      const cluster = createCluster()
      upsert(cluster, 'dns', { clusterIP: '10.96.0.10', ports: [{ port: 53 }] })
      upsert(cluster, 'web', { ...balanced, ...spec }, balancer(...ingress))
      const found = keys(cluster).filter((key) => key.startsWith('LoadBalancer'))
      assert.deepEqual(found, reason === '' ? ['LoadBalancer 198.51.100.1:80/TCP'] : [])
      assert.deepEqual(reasons(cluster), reason ? [reason] : [])
    })
  }

  it('come and go one by one, and the others stay', () => {
    const cluster = createCluster()
    const [one, two] = [{ ip: '198.51.100.1' }, { ip: '198.51.100.2' }]
    upsert(cluster, 'web', balanced, balancer(one, two))
    assert.ok(keys(cluster).includes('VIP 198.51.100.2'))
    upsert(cluster, 'web', balanced, balancer(one))
    const left = ['LoadBalancer 198.51.100.1:80/TCP', 'VIP 10.96.0.1', 'VIP 198.51.100.1']
    assert.deepEqual(keys(cluster), [...clusterIP, ...left])
  })

  it('on an interface of the node are served without taking the address over', () => {
    const cluster = createCluster()
    upsert(cluster, 'web', balanced, balancer({ ip: '192.168.7.7' }))
    assert.deepEqual(keys(cluster), [...clusterIP, 'LoadBalancer 192.168.7.7:80/TCP', ...vip])
  })
})

describe('external addresses', () => {
  const all = { externalRanges: ['0.0.0.0/0', '::/0'] }
  const wanted = (address: string): object => ({ ports: [{ port: 80 }], externalIPs: [address] })
  const served = ['ExternalIP 192.0.2.1:80/TCP', 'VIP 10.96.0.1', 'VIP 192.0.2.1']

  it('are refused where no range allows them', () => {
    const cluster = createCluster()
    upsert(cluster, 'web', wanted('192.0.2.1'))
    assert.deepEqual(keys(cluster), [...clusterIP, ...vip])
    assert.match(reasons(cluster)[0]!, /^192.0.2.1 is not in a range/)
  })

  it('are served inside the ranges', () => {
    const cluster = createCluster({ externalRanges: ['192.0.2.0/24'] })
    upsert(cluster, 'web', { ...wanted('192.0.2.1'), externalIPs: ['192.0.2.1', '198.51.100.1'] })
    assert.deepEqual(keys(cluster), [...clusterIP, ...served])
    assert.match(reasons(cluster)[0]!, /^198.51.100.1 is not in a range/)
  })

  for (const [what, address] of [
    ['a node address', '172.16.0.1'],
    ['an address of an interface', '192.168.7.7'],
    ['a pod address', '10.244.1.7'],
    ["another Service's VIP", '10.96.0.10'],
  ] as const) {
    it(`are never ${what}`, () => {
      const cluster = createCluster(all)
      upsert(cluster, 'dns', { clusterIP: '10.96.0.10', ports: [{ port: 53 }] })
      upsert(cluster, 'web', wanted(address))
      assert.ok(!keys(cluster).some((key) => key.startsWith('ExternalIP')))
      assert.equal(reasons(cluster).length, 1)
    })
  }

  it('lose an address that becomes a VIP, however young its Service, and get it back', () => {
    const cluster = createCluster(all)
    upsert(cluster, 'web', wanted('192.0.2.1'))
    assert.deepEqual(keys(cluster), [...clusterIP, ...served])
    upsert(cluster, 'young', { clusterIP: '192.0.2.1', ports: [{ port: 443 }] })
    assert.ok(!keys(cluster).some((key) => key.startsWith('ExternalIP')))
    cluster.remove('Service', 'default/young')
    assert.deepEqual(keys(cluster), [...clusterIP, ...served])
    assert.deepEqual(reasons(cluster), [])
  })
})

describe('cluster IPs', () => {
  it('that a cache of the node has on an interface are left to it, while it does', () => {
    const cluster = createCluster()
    upsert(cluster, 'web', {})
    assert.deepEqual(keys(cluster), [...clusterIP, ...vip])
    cluster.setInterfaceAddresses(['10.96.0.1'])
    assert.deepEqual(keys(cluster), [])
    assert.deepEqual(reasons(cluster), [])
    cluster.setInterfaceAddresses([])
    assert.deepEqual(keys(cluster), [...clusterIP, ...vip])
  })

  it('are not endpoints of any Service, as packets would go round', () => {
    const cluster = createCluster()
    upsert(cluster, 'web', {})
    cluster.upsert('EndpointSlice', {
      metadata: { name: 's', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      ports: [{ port: 80 }],
      endpoints: ['10.96.0.1', '10.96.0.9', '10.1.0.1'].map((at) => ({ addresses: [at] })),
    })
    cluster.pass()
    assert.match(cluster.dump({ plain: true }), /backends=10.1.0.1:80,10.96.0.9:80\n/)
    upsert(cluster, 'later', { clusterIP: '10.96.0.9', ports: [{ port: 81 }] })
    cluster.pass()
    assert.match(cluster.dump({ plain: true }), /backends=10.1.0.1:80\n/)
    assert.equal(reasons(cluster).length, 2)
  })
})

describe('a Service that walks through all types', () => {
  it('leaves no residue, twenty times over', () => {
    const cluster = createCluster()
    upsert(cluster, 'web', {})
    cluster.pass()
    const before = cluster.dump({ plain: true })
    const used = cluster.maps.keys.size
    const walk = ['NodePort', 'LoadBalancer', 'ExternalName', 'ClusterIP']
    for (let round = 0; round < 20; round++) {
      for (const type of walk) {
        upsert(cluster, 'web', { type }, balancer({ ip: '198.51.100.1' }))
        cluster.now += 1000
        cluster.pass()
      }
    }
    assert.equal(cluster.dump({ plain: true }), before)
    assert.equal(cluster.maps.keys.size, used)
    assert.ok(cluster.state.indexes.next < 16, 'indexes are used again')
  })
})

describe('address ranges', () => {
  it('contain what is in them', () => {
    const cases: readonly (readonly [string, string, boolean])[] = [
      ['10.0.0.0/8', '10.255.0.1', true],
      ['10.0.0.0/8', '11.0.0.1', false],
      ['10.1.2.0/23', '10.1.3.255', true],
      ['10.1.2.0/23', '10.1.4.0', false],
      ['10.1.2.3/32', '10.1.2.3', true],
      ['10.1.2.3/32', '10.1.2.2', false],
      ['0.0.0.0/0', '255.1.2.3', true],
      ['0.0.0.0/0', 'fd00::1', false],
      ['::/0', 'fd00::1', true],
      ['::/0', '10.0.0.1', false],
      ['fd00::/15', 'fd01::1', true],
      ['fd00::/15', 'fd02::1', false],
    ]
    for (const [range, address, expected] of cases) {
      assert.equal(rangeTest([range])(address), expected, `${address} in ${range}`)
    }
    assert.equal(rangeTest([])('10.0.0.1'), false)
    assert.equal(coversFamily(['0.0.0.0/0'], 6), false)
    assert.equal(coversFamily(['0.0.0.0/0'], 4), true)
  })
})

it('an address of pods on other nodes is protected where the cluster CIDR is known', () => {
  for (const podRanges of [[], ['10.244.0.0/16']]) {
    const cluster = createCluster({ podRanges })
    upsert(cluster, 'web', { type: 'LoadBalancer' }, balancer({ ip: '10.244.7.7' }))
    const isServed = keys(cluster).some((key) => key.startsWith('LoadBalancer'))
    assert.equal(isServed, podRanges.length === 0)
  }
})
