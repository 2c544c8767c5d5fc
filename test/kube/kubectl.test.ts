import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { startApiServer } from '../cluster/api-server/server.ts'
import type { ApiServer } from '../cluster/api-server/server.ts'
import { scratch } from './support/certificates.ts'

const absent = spawnSync('kubectl', ['version', '--client']).status !== 0
const skip = absent ? 'kubectl is not installed' : false

const manifest = (targetPort: number, labels = 'app: web') => `
apiVersion: v1
kind: Service
metadata: {name: web, labels: {${labels}}}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: ${targetPort}}, {name: https, port: 443}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: ${targetPort}, protocol: TCP}]
endpoints: [{addresses: [10.244.0.1]}, {addresses: [10.244.0.2]}]
`

class Kubectl {
  readonly server: ApiServer
  readonly directory: string
  constructor(server: ApiServer, directory: string) {
    this.server = server
    this.directory = directory
  }

  arguments(words: string): string[] {
    return ['--server', this.server.url, ...words.split(' ')]
  }

  get environment(): NodeJS.ProcessEnv {
    return { PATH: process.env['PATH'], HOME: this.directory, KUBECONFIG: '/dev/null' }
  }

  /** What kubectl prints; rejects when it fails. */
  async run(words: string): Promise<string> {
    const env = this.environment
    const { stdout } = await promisify(execFile)('kubectl', this.arguments(words), { env })
    return stdout
  }

  async apply(text: string, options = ''): Promise<string> {
    const file = join(this.directory, 'manifest.yaml')
    writeFileSync(file, text)
    return this.run(`apply -f ${file}${options}`)
  }
}

async function prepare(t: TestContext): Promise<Kubectl> {
  const server = await startApiServer()
  t.after(() => server.close())
  return new Kubectl(server, scratch(t))
}

function specOf(server: ApiServer): Record<string, unknown> {
  return server.get({ kind: 'Service', name: 'web' })?.['spec'] as Record<string, unknown>
}

describe('real kubectl', { skip }, () => {
  test('apply creates, then changes one port and leaves the other', async (t) => {
    const kubectl = await prepare(t)
    assert.match(await kubectl.apply(manifest(8080)), /service\/web created\n.*web-1 created/)
    assert.match(await kubectl.apply(manifest(9090)), /service\/web configured/)
    assert.match(await kubectl.apply(manifest(9090)), /service\/web unchanged/)
    assert.deepEqual(specOf(kubectl.server)['ports'], [
      { name: 'http', port: 80, targetPort: 9090, protocol: 'TCP' },
      { name: 'https', port: 443, protocol: 'TCP', targetPort: 443 },
    ])
    assert.equal(specOf(kubectl.server)['clusterIP'], '10.96.0.10')
    assert.match(await kubectl.apply(manifest(9091), ' --server-side'), /serverside-applied/)
  })

  test('get prints tables, YAML, JSON and names', async (t) => {
    const kubectl = await prepare(t)
    await kubectl.apply(manifest(8080))
    const table = await kubectl.run('get services,endpointslices')
    assert.match(table, /NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE/)
    assert.match(table, /service\/web +ClusterIP +10\.96\.0\.10 +<none> +80\/TCP,443\/TCP/)
    assert.match(table, /web-1 +IPv4 +8080 +10\.244\.0\.1,10\.244\.0\.2/)
    assert.match(
      await kubectl.run('get svc -A -o wide'),
      /NAMESPACE.*SELECTOR\ndefault +web.*app=web/,
    )
    assert.match(await kubectl.run('get svc web -o yaml'), /clusterIP: 10\.96\.0\.10/)
    assert.equal(await kubectl.run('get svc -l app=web -o name'), 'service/web\n')
    assert.equal(await kubectl.run('get svc -l app!=web -o name'), '')
    const json = JSON.parse(await kubectl.run('get svc -o json')) as { items: { kind: string }[] }
    assert.equal(json.items[0]?.kind, 'Service')
    assert.match(await kubectl.run('get nodes,ns,servicecidrs'), /kubernetes +10\.96\.0\.0\/16/)
    assert.match(await kubectl.run('describe svc web'), /Endpoints: +10\.244\.0\.1:8080,/)
  })

  test('get -w prints each change', async (t) => {
    const kubectl = await prepare(t)
    await kubectl.apply(manifest(8080))
    const child = spawn('kubectl', kubectl.arguments('get svc -w -o wide'), {
      env: kubectl.environment,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    t.after(async () => {
      child.kill()
      await exited
    })
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const next = async () => String((await lines.next()).value)
    assert.match(await next(), /^NAME/)
    assert.match(await next(), /^web +ClusterIP/)
    await kubectl.run('patch svc web -p {"spec":{"type":"NodePort"}}')
    assert.match(await next(), /^web +NodePort.*80:30000\/TCP/)
    await kubectl.run('delete svc web')
    assert.match(await next(), /^web/)
  })

  test('patch: strategic, merge and JSON', async (t) => {
    const kubectl = await prepare(t)
    await kubectl.apply(manifest(8080))
    await kubectl.run('patch svc web -p {"spec":{"ports":[{"port":443,"targetPort":8443}]}}')
    const ports = specOf(kubectl.server)['ports'] as { port: number; targetPort: number }[]
    assert.deepEqual(
      ports.map(({ port, targetPort }) => [port, targetPort]),
      [
        [80, 8080],
        [443, 8443],
      ],
    )
    await kubectl.run('patch svc web --type merge -p {"spec":{"ports":[{"port":81}]}}')
    assert.equal((specOf(kubectl.server)['ports'] as unknown[]).length, 1)
    await kubectl.run(
      'patch svc web --type json -p [{"op":"replace","path":"/spec/ports/0/port","value":82}]',
    )
    assert.equal((specOf(kubectl.server)['ports'] as { port: number }[])[0]?.port, 82)
    await kubectl.run(
      'patch svc web --subresource status --type merge -p {"status":{"loadBalancer":{"ingress":[{"ip":"1.2.3.4"}]}}}',
    )
    assert.match(await kubectl.run('get svc web'), / 1\.2\.3\.4 /)
  })

  test('label, annotate and delete', async (t) => {
    const kubectl = await prepare(t)
    await kubectl.apply(manifest(8080))
    await kubectl.run('label svc web color=blue')
    await kubectl.run('annotate svc web note=x')
    const web = kubectl.server.get({ kind: 'Service', name: 'web' })
    assert.deepEqual(web?.metadata.labels, { app: 'web', color: 'blue' })
    await kubectl.run('label svc web color-')
    assert.deepEqual(kubectl.server.get({ kind: 'Service', name: 'web' })?.metadata.labels, {
      app: 'web',
    })
    assert.match(await kubectl.run('delete svc web'), /service "web" deleted/)
    assert.match(await kubectl.run('delete endpointslices --all'), /"web-1" deleted/)
    await assert.rejects(kubectl.run('get svc web'), /NotFound/)
    await assert.rejects(kubectl.run('delete svc web'), /NotFound/)
  })

  test('version, api-resources, diff, replace and raw requests', async (t) => {
    const kubectl = await prepare(t)
    assert.match(await kubectl.run('version'), /Server Version: v1\.32/)
    assert.match(await kubectl.run('api-resources'), /endpointslices +discovery\.k8s\.io\/v1 +true/)
    await kubectl.apply(manifest(8080))
    const file = join(kubectl.directory, 'manifest.yaml')
    writeFileSync(file, manifest(9999))
    await assert.rejects(kubectl.run(`diff -f ${file}`), { code: 1 })
    assert.match(await kubectl.run(`replace -f ${file}`), /service\/web replaced/)
    assert.match(await kubectl.run('get --raw /api/v1/services?limit=1'), /"ServiceList"/)
  })
})
