import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import type { Config } from '../../src/config.ts'
import { ProxyHealth } from '../../src/health/proxy-health.ts'
import { silentRecorder } from '../../src/kube/events.ts'
import type { ServiceName } from '../../src/model/types.ts'
import type { ProxySettings } from '../../src/proxy-config/settings.ts'
import { openServiceChecks, type ServiceChecks } from '../../src/service-checks.ts'

const web = 'default/web' as ServiceName

/** The checks of an agent with these settings, and who listens on which addresses of loopback. */
async function checking(
  t: TestContext,
  list: readonly string[],
  settings: Partial<ProxySettings> = {},
): Promise<{ readonly checks: ServiceChecks; readonly listens: () => Promise<string[]> }> {
  const port = await freePort()
  const config = {
    nodeName: 'node1',
    proxyValues: { nodePortAddresses: list },
    proxy: { nodePortAddresses: { kind: 'primary' }, nodeAddress: undefined, ...settings },
  } as unknown as Config // the part that is asked for
  const log = { debug: () => 0, info: () => 0, warn: () => 0, error: () => 0 }
  const health = new ProxyHealth()
  const checks = openServiceChecks({ config, health, events: silentRecorder, log })
  t.after(() => checks.close())
  checks.note([[web, { service: web, uid: 'u', port, localEndpoints: 1, createdAt: 0 }]])
  const answers = async (host: string): Promise<string[]> => {
    const { status } = await fetch(`http://${host}:${port}/`).catch(() => ({ status: 0 }))
    return status === 200 ? [host] : []
  }
  const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '[::1]']
  return { checks, listens: async () => (await Promise.all(hosts.map(answers))).flat() }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '::', resolve))
  const { port } = server.address() as AddressInfo // it listens
  await new Promise((resolve) => server.close(resolve))
  return port
}

const all = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '::1']

test('serviceChecks: unset, health-check node ports answer everywhere', async (t) => {
  const { listens } = await checking(t, [])
  assert.deepEqual(await listens(), ['127.0.0.1', '127.0.0.2', '127.0.0.3', '[::1]'])
})

test('serviceChecks: primary means the first address of each family that is on an interface', async (t) => {
  const { checks, listens } = await checking(t, ['primary'])
  checks.interfaces(all)
  assert.deepEqual(await listens(), [])
  checks.node(['127.0.0.2', '127.0.0.1', '::1'])
  assert.deepEqual(await listens(), ['127.0.0.2', '[::1]'])
  checks.interfaces(['127.0.0.1', '::1'])
  assert.deepEqual(await listens(), ['[::1]'])
})

test('serviceChecks: an address given for the node is primary while its object is not known', async (t) => {
  const { checks, listens } = await checking(t, ['primary'], { nodeAddress: '127.0.0.3' })
  checks.interfaces(all)
  assert.deepEqual(await listens(), ['127.0.0.3'])
  checks.node(['127.0.0.3', '127.0.0.1'])
  assert.deepEqual(await listens(), ['127.0.0.3'])
  checks.node(undefined)
  assert.deepEqual(await listens(), ['127.0.0.3'])
})

test('serviceChecks: ranges mean the addresses of interfaces in them, as these come and go', async (t) => {
  const nodePortAddresses = { kind: 'ranges', ranges: ['127.0.0.2/31'] } as const
  const { checks, listens } = await checking(t, ['127.0.0.2/31'], { nodePortAddresses })
  checks.interfaces(['127.0.0.1', '127.0.0.2'])
  assert.deepEqual(await listens(), ['127.0.0.2'])
  checks.interfaces(all)
  assert.deepEqual(await listens(), ['127.0.0.2', '127.0.0.3'])
  checks.interfaces(['127.0.0.1'])
  assert.deepEqual(await listens(), [])
})
