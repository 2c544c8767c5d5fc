import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseService } from '../../src/kube/parse-service.ts'
import type { Service } from '../../src/model/types.ts'

type Fields = Readonly<Record<string, unknown>>

function raw(spec: Fields, metadata: Fields = {}, status: Fields = {}): unknown {
  return {
    metadata: { namespace: 'shop', name: 'web', uid: 'u1', ...metadata },
    spec: { clusterIP: '10.96.0.1', ports: [{ port: 80 }], ...spec },
    status,
  }
}

function parsed(object: unknown): { service: Service; refused: string[] } {
  const result = parseService(object)
  assert.equal(result.kind, 'parsed')
  const { value, refusals } = result
  return {
    service: value,
    refused: refusals.map((one) => `${one.field} ${one.value} ${one.reason}`),
  }
}

describe('parseService()', () => {
  it('reads everything a Service can ask for', () => {
    const { service, refused } = parsed(
      raw(
        {
          type: 'LoadBalancer',
          clusterIP: '10.96.0.1',
          clusterIPs: ['10.96.0.1', 'FD00::1'],
          ports: [
            {
              name: 'http',
              port: 80,
              protocol: 'TCP',
              nodePort: 30080,
              targetPort: 'x',
              appProtocol: 'h',
            },
            { name: 'dns', port: 53, protocol: 'UDP' },
          ],
          internalTrafficPolicy: 'Local',
          externalTrafficPolicy: 'Local',
          sessionAffinity: 'ClientIP',
          sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } },
          externalIPs: ['192.0.2.1'],
          loadBalancerSourceRanges: ['fd00::/8', ' 10.0.0.1/8 '],
          healthCheckNodePort: 32000,
          publishNotReadyAddresses: true,
        },
        {
          creationTimestamp: '2026-01-01T00:00:00Z',
          annotations: { 'kube-shunt.io/reset': 'yes', other: 'x' },
        },
        {
          loadBalancer: {
            ingress: [
              { ip: '198.51.100.1' },
              { ip: '198.51.100.2', ipMode: 'Proxy' },
              { ip: '198.51.100.3', ipMode: 'VIP' },
              { ip: '198.51.100.4', ipMode: 'Later' },
              { hostname: 'lb.example' },
            ],
          },
        },
      ),
    )
    assert.deepEqual(refused, [])
    assert.deepEqual(service, {
      name: 'shop/web',
      uid: 'u1',
      createdAt: Date.UTC(2026, 0, 1),
      type: 'LoadBalancer',
      clusterIPs: ['10.96.0.1', 'fd00::1'],
      ports: [
        { name: 'shop/web:http/TCP', portName: 'http', protocol: 'TCP', port: 80, nodePort: 30080 },
        { name: 'shop/web:dns/UDP', portName: 'dns', protocol: 'UDP', port: 53, nodePort: 0 },
      ],
      internalPolicy: 'Local',
      externalPolicy: 'Local',
      affinitySeconds: 600,
      loadBalancerIPs: ['198.51.100.1', '198.51.100.3', '198.51.100.4'],
      externalIPs: ['192.0.2.1'],
      sourceRanges: { kind: 'listed', ranges: ['10.0.0.0/8', 'fd00::/8'] },
      choice: 'random',
      healthCheckNodePort: 32000,
      publishNotReady: true,
      annotations: new Map([['reset', 'yes']]),
    })
  })

  it('ignores what is not ours to serve, and says why', () => {
    const label = (name: string): Fields => ({ labels: { [`service.kubernetes.io/${name}`]: '' } })
    const cases: readonly (readonly [unknown, RegExp])[] = [
      [raw({ clusterIP: 'None' }), /headless/],
      [raw({ clusterIP: 'None', clusterIPs: ['None'] }), /headless/],
      [raw({ clusterIP: '' }), /no cluster IP/],
      [raw({ clusterIP: undefined }), /no cluster IP/],
      [raw({ type: 'ExternalName' }), /ExternalName/],
      [raw({}, label('service-proxy-name')), /another proxy/],
      [raw({}, label('headless')), /headless/],
    ]
    for (const [object, reason] of cases) {
      const result = parseService(object)
      assert.equal(result.kind, 'ignored')
      assert.equal(result.name, 'shop/web')
      assert.match((result as { reason: string }).reason, reason)
    }
  })

  it('refuses an object without a name that could be printed', () => {
    const names = ['', '../x', 'a b', 'a\u001b[31m', 'a\nb', 'x'.repeat(64), 7, null, '-a']
    for (const name of names) {
      const result = parseService(raw({}, { name }))
      assert.equal(result.kind, 'refused', String(name))
      assert.ok(result.refusals[0]!.value.length < 150)
    }
    for (const object of [null, undefined, 7, 'text', [], { metadata: [] }]) {
      assert.equal(parseService(object).kind, 'refused')
    }
  })

  it('refuses bad ports one by one', () => {
    const bad = [0, -1, 65536, 1e9, '80', 80.5, null, {}, NaN]
    const ports = bad.map((port, at) => ({ name: `p${at}`, port }))
    const { service, refused } = parsed(raw({ ports: [...ports, { name: 'good', port: 443 }] }))
    assert.deepEqual(
      service.ports.map((port) => port.port),
      [443],
    )
    assert.equal(refused.length, bad.length)
    assert.equal(refused[2], 'spec.ports[2].port 65536 is not a port number')
    assert.equal(refused[4], 'spec.ports[4].port "80" is not a port number')
  })

  it('refuses unknown protocols and duplicates, not their neighbours', () => {
    const { service, refused } = parsed(
      raw({
        ports: [
          { name: 'a', port: 80, protocol: 'tcp' },
          { name: 'b', port: 80, protocol: 'ICMP' },
          { name: 'c', port: 80, protocol: 'TCP' },
          { name: 'd', port: 80, protocol: 'TCP' },
          { name: 'c', port: 81, protocol: 'TCP' },
          { name: 'c', port: 80, protocol: 'UDP' },
          { name: 'bad name', port: 82 },
          { name: 'f', port: 83, nodePort: 70000 },
        ],
      }),
    )
    assert.deepEqual(
      service.ports.map((port) => port.name),
      ['shop/web:c/TCP', 'shop/web:c/UDP', 'shop/web:f/TCP'],
    )
    assert.deepEqual(
      refused.map((line) => line.split(' ', 1)[0]),
      [
        'spec.ports[0].protocol',
        'spec.ports[1].protocol',
        'spec.ports[3]',
        'spec.ports[4]',
        'spec.ports[6].name',
        'spec.ports[7].nodePort',
      ],
    )
    assert.equal(service.ports[2]!.nodePort, 0)
  })

  it('refuses bad addresses one by one', () => {
    const good = '10.96.0.7'
    const bad = ['300.1.1.1', '10.0.0.010', 'fe80::1%eth0', '10.0.0.0/8', '::ffff:10.0.0.1', 7]
    const special = ['127.0.0.1', '0.0.0.0', '224.0.0.1', '169.254.169.254', '::1', 'ff02::1']
    const { service, refused } = parsed(raw({ clusterIPs: [...bad, ...special, good, good] }))
    assert.deepEqual(service.clusterIPs, [good])
    assert.equal(refused.length, bad.length + special.length)
    assert.equal(refused[6], 'spec.clusterIPs[6] "127.0.0.1" is a loopback address')
  })

  it('takes defaults for values it does not know', () => {
    const { service } = parsed(
      raw({ type: 'Foo', internalTrafficPolicy: 'Foo', externalTrafficPolicy: 'local' }),
    )
    assert.equal(service.type, 'ClusterIP')
    assert.equal(service.internalPolicy, 'Cluster')
    assert.equal(service.externalPolicy, 'Cluster')
  })

  it('clamps the affinity timeout', () => {
    const timeouts: readonly (readonly [unknown, number])[] = [
      [0, 10800],
      [-5, 10800],
      [null, 10800],
      ['60', 10800],
      [1.5, 10800],
      [1, 1],
      [86400, 86400],
      [86401, 86400],
    ]
    for (const [timeoutSeconds, expected] of timeouts) {
      const { service } = parsed(
        raw({
          sessionAffinity: 'ClientIP',
          sessionAffinityConfig: { clientIP: { timeoutSeconds } },
        }),
      )
      assert.equal(service.affinitySeconds, expected, String(timeoutSeconds))
    }
    assert.equal(parsed(raw({ sessionAffinity: 'None' })).service.affinitySeconds, 0)
  })

  it('lets nobody in when no source range can be read', () => {
    const ranges = (list: unknown): unknown =>
      parsed(raw({ loadBalancerSourceRanges: list })).service.sourceRanges
    assert.deepEqual(ranges(undefined), { kind: 'everybody' })
    assert.deepEqual(ranges([]), { kind: 'everybody' })
    assert.deepEqual(ranges(['junk']), { kind: 'nobody' })
    assert.deepEqual(ranges(['junk', '10.0.0.0/8']), { kind: 'listed', ranges: ['10.0.0.0/8'] })
  })

  it('chooses at random unless an annotation says Maglev, ours before that of Cilium', () => {
    const ours = 'kube-shunt.io/load-balancing'
    const cilium = 'service.cilium.io/lb-algorithm'
    const cases: readonly (readonly [annotations: Fields, choice: string, refusals: number])[] = [
      [{}, 'random', 0],
      [{ [ours]: 'maglev' }, 'maglev', 0],
      [{ [cilium]: 'maglev' }, 'maglev', 0],
      [{ [ours]: 'random', [cilium]: 'maglev' }, 'random', 0],
      [{ [cilium]: 'something new' }, 'random', 0],
      [{ [ours]: 'Maglev' }, 'random', 1],
      [{ [ours]: 7 }, 'random', 0],
    ]
    for (const [annotations, choice, refusals] of cases) {
      const { service, refused } = parsed(raw({}, { annotations }))
      assert.equal(service.choice, choice, JSON.stringify(annotations))
      assert.equal(refused.length, refusals, refused.join())
    }
  })

  it('does not trust prototypes', () => {
    const service = JSON.parse(
      '{"__proto__":{"metadata":{"name":"evil"}},"metadata":{"namespace":"a","name":"b"},' +
        '"spec":{"clusterIP":"10.0.0.1","ports":[{"__proto__":{"port":1},"port":2}],"constructor":1}}',
    ) as unknown
    assert.equal(parsed(service).service.ports[0]!.port, 2)
    const inherited = Object.create({ metadata: { name: 'x' } }) as unknown
    assert.equal(parseService(inherited).kind, 'refused')
    assert.equal(({} as Fields)['port'], undefined)
  })

  it('bounds what it reads and what it says', () => {
    const ports = Array.from({ length: 2000 }, (_, at) => ({ name: `p${at}`, port: at + 1 }))
    const many = parsed(raw({ ports }))
    assert.equal(many.service.ports.length, 1000)
    assert.match(many.refused[0]!, /more than 1000 entries/)
    const bad = Array.from({ length: 500 }, () => ({ port: 'x'.repeat(10_000) }))
    const { refused } = parsed(raw({ ports: bad }))
    assert.equal(refused.length, 21)
    assert.match(refused[20]!, /480 more pieces are refused/)
    assert.ok(refused.every((line) => line.length < 300))
    const ansi = parsed(raw({ ports: [{ port: '\u001b[31m\n' }] })).refused[0]!
    assert.doesNotMatch(ansi, /[\u0000-\u001f]/)
  })
})
