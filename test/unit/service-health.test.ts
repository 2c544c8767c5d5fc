import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { serveServiceHealth } from '../../src/health/service-health-servers.ts'
import {
  healthCheckOf,
  serviceHealthAnswer,
  ServiceHealth,
  type HealthCheck,
} from '../../src/health/service-health.ts'
import { parseEndpointSlice } from '../../src/kube/parse-endpointslice.ts'
import { parseService } from '../../src/kube/parse-service.ts'
import type { EndpointSlice, Service, ServiceName } from '../../src/model/types.ts'
import type { Log } from '../../src/log.ts'

const silent: Log = { debug: noop, info: noop, warn: noop, error: noop }
function noop(): void {
  // nobody listens
}

function service(spec: Record<string, unknown> = {}, name = 'web'): Service {
  const parsed = parseService({
    metadata: { namespace: 'default', name, uid: name, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      type: 'LoadBalancer',
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 31008,
      clusterIPs: ['10.96.0.1', 'fd00::1'],
      ports: [{ port: 80, nodePort: 30080 }],
      ...spec,
    },
  })
  assert.equal(parsed.kind, 'parsed')
  return (parsed as { value: Service }).value
}

interface Given {
  readonly address: string
  readonly node?: string
  readonly ready?: boolean
  readonly terminating?: boolean
}

function slice(endpoints: readonly Given[], addressType = 'IPv4'): EndpointSlice {
  const parsed = parseEndpointSlice({
    metadata: {
      namespace: 'default',
      name: `web-${addressType}`,
      labels: { 'kubernetes.io/service-name': 'web' },
    },
    addressType,
    ports: [{ name: '', port: 8080, protocol: 'TCP' }],
    endpoints: endpoints.map(({ address, node = 'n1', ready = true, terminating = false }) => ({
      addresses: [address],
      nodeName: node,
      conditions: { ready, serving: true, terminating },
    })),
  })
  assert.equal(parsed.kind, 'parsed')
  return (parsed as { value: EndpointSlice }).value
}

function check(localEndpoints: number, extra: Partial<HealthCheck> = {}): HealthCheck {
  const web = 'default/web' as ServiceName
  return { service: web, uid: 'u1', port: 31008, localEndpoints, createdAt: 0, ...extra }
}

describe('healthCheckOf', () => {
  const four = slice([
    { address: '10.244.1.1' },
    { address: '10.244.1.2' },
    { address: '10.244.1.3', ready: false, terminating: true },
    { address: '10.244.2.1', node: 'n2' },
  ])

  test('counts ready endpoints of this node, not terminating ones', () => {
    assert.equal(healthCheckOf(service(), [four], 'n1')?.localEndpoints, 2)
    assert.equal(healthCheckOf(service(), [four], 'n2')?.localEndpoints, 1)
    assert.equal(healthCheckOf(service(), [four], 'n3')?.localEndpoints, 0)
    assert.equal(healthCheckOf(service(), [], 'n1')?.localEndpoints, 0)
  })

  test('counts an address in two slices once, and a dual-stack pod once', () => {
    const again = slice([{ address: '10.244.1.1' }])
    const six = slice([{ address: 'fd00:1::1' }, { address: 'fd00:1::2' }], 'IPv6')
    assert.equal(healthCheckOf(service(), [four, again, six], 'n1')?.localEndpoints, 2)
  })

  test('is only for load balancers with policy Local and a port', () => {
    const of = (spec: Record<string, unknown>): unknown =>
      healthCheckOf(service(spec), [four], 'n1')
    assert.equal(of({ type: 'NodePort' }), undefined)
    assert.equal(of({ externalTrafficPolicy: 'Cluster' }), undefined)
    assert.equal(of({ healthCheckNodePort: 0 }), undefined)
  })
})

describe('ServiceHealth', () => {
  test('tells whether something changed', () => {
    const health = new ServiceHealth()
    const web = 'default/web' as ServiceName
    assert.equal(health.set(web, undefined), false)
    assert.equal(health.set(web, check(1)), true)
    assert.equal(health.set(web, check(1)), false)
    assert.equal(health.set(web, check(2)), true)
    assert.equal(health.set(web, check(2, { port: 31009 })), true)
    assert.equal(health.set(web, undefined), true)
    assert.equal(health.byPort().size, 0)
  })

  test('gives a port that two Services claim to the older, and to the other afterwards', () => {
    const [a, b, c] = ['default/a', 'default/b', 'default/c'] as ServiceName[]
    const health = new ServiceHealth()
    health.set(c!, check(3, { service: c!, createdAt: 5 }))
    health.set(b!, check(2, { service: b!, createdAt: 5 }))
    health.set(a!, check(1, { service: a!, createdAt: 9 }))
    assert.equal(health.byPort().get(31008)?.service, b)
    health.set(b!, undefined)
    assert.equal(health.byPort().get(31008)?.service, c)
  })
})

describe('serviceHealthAnswer', () => {
  test('has the body, headers and status of kube-proxy', () => {
    const answer = serviceHealthAnswer(check(2), true)
    assert.equal(answer.status, 200)
    assert.equal(
      answer.body,
      '{\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "web"\n\t},\n' +
        '\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}',
    )
    assert.deepEqual(answer.headers, {
      'Content-Type': 'application/json',
      'X-Content-Type-Options': 'nosniff',
      'X-Load-Balancing-Endpoint-Weight': '2',
    })
  })

  test('is 503 without local endpoints or with an unhealthy proxy', () => {
    assert.equal(serviceHealthAnswer(check(0), true).status, 503)
    assert.equal(serviceHealthAnswer(check(2), false).status, 503)
    assert.match(serviceHealthAnswer(check(2), false).body, /"serviceProxyHealthy": false/)
  })
})

describe('serveServiceHealth', () => {
  test('opens, answers on any path, changes and closes', async () => {
    const port = await freePort()
    const servers = serveServiceHealth({ isProxyHealthy: () => true, log: silent })
    try {
      servers.update(new Map([[port, check(1, { port })]]))
      await servers.bound()
      const url = `http://127.0.0.1:${port}/any/path`
      const first = await fetch(url)
      assert.equal(first.status, 200)
      assert.equal(first.headers.get('x-load-balancing-endpoint-weight'), '1')
      servers.update(new Map([[port, check(0, { port })]]))
      assert.equal((await fetch(url)).status, 503)
      const posted = await fetch(url, { method: 'POST' })
      assert.equal(posted.status, 405)
      servers.update(new Map())
      await assert.rejects(fetch(url))
    } finally {
      await servers.close()
    }
  })

  test('listens where it is told, and moves', async () => {
    const port = await freePort()
    const servers = serveServiceHealth({ isProxyHealthy: () => true, log: silent })
    try {
      servers.listenOn(['127.0.0.2'])
      servers.update(new Map([[port, check(1, { port })]]))
      await servers.bound()
      assert.equal((await fetch(`http://127.0.0.2:${port}/`)).status, 200)
      await assert.rejects(fetch(`http://127.0.0.1:${port}/`))
      servers.listenOn(['127.0.0.3'])
      await servers.bound()
      assert.equal((await fetch(`http://127.0.0.3:${port}/`)).status, 200)
      await assert.rejects(fetch(`http://127.0.0.2:${port}/`))
    } finally {
      await servers.close()
    }
  })

  test('tells once that a port is taken, and has it when it is free', async () => {
    const holder = createServer()
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
    const { port } = holder.address() as AddressInfo
    const failures: string[] = []
    const told = Promise.withResolvers<undefined>()
    const servers = serveServiceHealth({
      isProxyHealthy: () => true,
      log: silent,
      retryMilliseconds: 5,
      bindFailed: ({ service: name }, error) => {
        failures.push(`${name}: ${error.message}`)
        told.resolve(undefined)
      },
    })
    try {
      servers.listenOn(['127.0.0.1'])
      servers.update(new Map([[port, check(1, { port })]]))
      await told.promise
      await new Promise((resolve) => holder.close(resolve))
      await servers.bound()
      assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200)
      assert.equal(failures.length, 1)
      assert.match(
        failures[0]!,
        /^default\/web: serve health check of default\/web on .*EADDRINUSE/,
      )
    } finally {
      await servers.close()
      holder.close()
    }
  })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
