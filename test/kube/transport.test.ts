import assert from 'node:assert/strict'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { ApiError } from '../../src/kube/api-error.ts'
import { loadClusterAccess } from '../../src/kube/kubeconfig.ts'
import type { ClusterAccess } from '../../src/kube/kubeconfig.ts'
import { createTransport } from '../../src/kube/transport.ts'
import type { Transport, TransportOptions } from '../../src/kube/transport.ts'
import { startApiServer } from '../cluster/api-server/server.ts'
import { createAuthority, scratch } from './support/certificates.ts'
import { serve, service } from './support/reflecting.ts'

function connect(t: TestContext, access: ClusterAccess, options?: TransportOptions): Transport {
  const transport = createTransport(access, options)
  t.after(() => transport.close())
  return transport
}

function plain(server: string): ClusterAccess {
  return { server, insecureSkipTlsVerify: false }
}

const { signal } = new AbortController()
const version = { path: '/version', signal }

test('requests name the product and its version', async (t) => {
  const server = await serve(t)
  const transport = connect(t, plain(server.url), { version: '1.2.3' })
  await transport.json(version)
  assert.equal(server.requests[0]?.headers['user-agent'], 'kube-shunt/1.2.3')
})

test('requests in a row share connections', async (t) => {
  const server = await serve(t)
  const transport = connect(t, plain(server.url))
  for (let count = 0; count < 5; count++) await transport.json(version)
  assert.ok(new Set(server.requests.map(({ port }) => port)).size <= 2)
})

test('a path in the server URL comes before the path of a request', async (t) => {
  const server = await serve(t)
  const transport = connect(t, plain(`${server.url}/clusters/one`))
  await assert.rejects(transport.json(version), { status: 404 })
  assert.equal(server.requests[0]?.path, '/clusters/one/version')
})

test('compressed answers are decompressed', async (t) => {
  const server = await serve(t)
  const annotations = { filler: 'x'.repeat(2000) }
  server.bulkLoad(Array.from({ length: 200 }, (_, index) => service(`s${index}`, { annotations })))
  const transport = connect(t, plain(server.url))
  const response = await transport.open({ path: '/api/v1/services', compressed: true, signal })
  const chunks: Buffer[] = []
  for await (const chunk of response.body) chunks.push(chunk)
  const list = JSON.parse(Buffer.concat(chunks).toString()) as { items: unknown[] }
  assert.equal(list.items.length, 200)
})

test('an object is created and read back; a refusal carries status and message', async (t) => {
  const server = await serve(t)
  const transport = connect(t, plain(server.url))
  const path = '/apis/events.k8s.io/v1/namespaces/default/events'
  const body = { metadata: { generateName: 'a.' }, reason: 'Starting', note: 'hello' }
  await transport.json({ method: 'POST', path, body, signal })
  assert.equal(server.list('Event')[0]?.['message'], 'hello')
  await assert.rejects(transport.json({ path: `${path}/none`, signal }), (error) => {
    assert.ok(error instanceof ApiError)
    assert.equal(error.code, 'KSH_API')
    assert.equal(error.status, 404)
    assert.match(error.message, /events "none" not found/)
    return true
  })
})

test('Retry-After is read from the header and from the Status', async (t) => {
  const server = await serve(t)
  const transport = connect(t, plain(server.url))
  server.faults.respond({ status: 429, retryAfter: 3, times: 1 })
  await assert.rejects(transport.json(version), { status: 429, retryAfterMs: 3000 })
})

test('a refused connection is an ApiError that names the server', async (t) => {
  const server = await startApiServer()
  await server.close()
  const transport = connect(t, plain(server.url))
  await assert.rejects(transport.json(version), (error) => {
    assert.ok(error instanceof ApiError)
    assert.match(error.message, /127\.0\.0\.1:\d+: .*ECONNREFUSED/)
    return true
  })
})

test('a token file is read again after its time, and at once after 401', async (t) => {
  const server = await serve(t, { token: 'first' })
  const path = join(scratch(t), 'token')
  writeFileSync(path, 'first\n')
  let now = 0
  const token = { kind: 'file', path, field: 'token' } as const
  const access = { ...plain(server.url), token }
  const transport = connect(t, access, { now: () => now, tokenCacheMs: 60_000 })
  await transport.json(version)
  writeFileSync(path, 'second\n')
  now = 59_000
  await transport.json(version)
  server.setToken('second')
  await transport.json(version)
  const tokens = server.requests.map(({ headers }) => headers['authorization'])
  assert.deepEqual(tokens, ['Bearer first', 'Bearer first', 'Bearer first', 'Bearer second'])
  writeFileSync(path, 'third\n')
  now += 60_000
  await assert.rejects(transport.json(version), { status: 401 })
  assert.equal(server.requests.at(-1)?.headers['authorization'], 'Bearer third')
})

test('a token that does not change after 401 is not tried twice', async (t) => {
  const server = await serve(t, { token: 'right' })
  const path = join(scratch(t), 'token')
  writeFileSync(path, 'wrong')
  const token = { kind: 'file', path, field: 'token' } as const
  const transport = connect(t, { ...plain(server.url), token })
  await assert.rejects(transport.json(version), { status: 401 })
  assert.equal(server.requests.length, 1)
})

test('TLS: the authority is checked, and replaced when its file is', async (t) => {
  const directory = scratch(t)
  const [one, two] = ['one', 'two'].map((name) => createAuthority(directory, name))
  assert.ok(one && two)
  const path = join(directory, 'ca.crt')
  writeFileSync(path, one.ca)
  const server = await serve(t, { tls: one.issue('server', 'IP:127.0.0.1') })
  const ca = { kind: 'file', path, field: 'ca' } as const
  const transport = connect(t, { ...plain(server.url), ca })
  await transport.json(version)
  await server.setTls(two.issue('server', 'IP:127.0.0.1'))
  await assert.rejects(transport.json(version), /certificate/)
  writeFileSync(`${path}.new`, two.ca)
  renameSync(`${path}.new`, path)
  await transport.json(version)
})

test('TLS: tls-server-name is what the certificate must name', async (t) => {
  const authority = createAuthority(scratch(t), 'one')
  const server = await serve(t, { tls: authority.issue('server', 'DNS:kubernetes.test') })
  const ca = { kind: 'inline', data: Buffer.from(authority.ca) } as const
  const access = { ...plain(server.url), ca }
  await assert.rejects(connect(t, access).json(version), /does not match|IP/)
  await connect(t, { ...access, tlsServerName: 'kubernetes.test' }).json(version)
  await assert.rejects(connect(t, { ...access, tlsServerName: 'other.test' }).json(version))
})

test('TLS: insecure-skip-tls-verify takes any certificate, and only then', async (t) => {
  const authority = createAuthority(scratch(t), 'one')
  const server = await serve(t, { tls: authority.issue('server', 'IP:127.0.0.1') })
  await assert.rejects(connect(t, plain(server.url)).json(version), /certificate/)
  await connect(t, { server: server.url, insecureSkipTlsVerify: true }).json(version)
})

test('TLS: a client certificate from a kubeconfig is presented', async (t) => {
  const directory = scratch(t)
  const authority = createAuthority(directory, 'one')
  const server = await serve(t, {
    tls: { ...authority.issue('server', 'IP:127.0.0.1'), clientCa: authority.ca },
  })
  const client = authority.issue('client')
  const encode = (text: string) => Buffer.from(text).toString('base64')
  writeFileSync(join(directory, 'client.crt'), client.cert)
  const path = join(directory, 'kubeconfig')
  writeFileSync(
    path,
    `
current-context: here
contexts: [{name: here, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "${server.url}", certificate-authority-data: ${encode(authority.ca)}}}]
users: [{name: u, user: {client-certificate: client.crt, client-key-data: ${encode(client.key)}}}]
`,
  )
  await connect(t, loadClusterAccess({ kubeconfig: path })).json(version)
  const nobody = { ...loadClusterAccess({ kubeconfig: path }) }
  delete nobody.certificate
  delete nobody.key
  await assert.rejects(connect(t, nobody).json(version))
})

test('close ends running answers and leaves no connection', async (t) => {
  const server = await serve(t)
  const transport = connect(t, plain(server.url))
  const response = await transport.open({
    path: '/api/v1/services',
    query: { watch: 'true' },
    signal,
  })
  const reading = (async () => {
    for await (const chunk of response.body) assert.ok(chunk)
  })()
  const ended = assert.rejects(reading)
  await transport.close()
  await ended
})
