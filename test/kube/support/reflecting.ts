import type { TestContext } from 'node:test'
import type { Clock } from '../../../src/kube/backoff.ts'
import { systemClock } from '../../../src/kube/backoff.ts'
import { reflect } from '../../../src/kube/reflect.ts'
import type { ReflectTuning } from '../../../src/kube/reflect.ts'
import { services } from '../../../src/kube/resources.ts'
import type { Resource } from '../../../src/kube/resources.ts'
import { createTransport } from '../../../src/kube/transport.ts'
import { startApiServer } from '../../cluster/api-server/server.ts'
import type { ApiServer, ApiServerOptions, KubeObject } from '../../cluster/api-server/server.ts'
import { Mirror } from './mirror.ts'

/** Short times, so that tests wait for events and not for clocks. */
export const quick: Partial<ReflectTuning> = {
  backoffBaseMs: 5,
  backoffMaxMs: 40,
  inactivityMs: 5000,
  initialSilenceMs: 5000,
  pageSize: 3,
}

/** Next to no jitter. */
export const calmClock: Clock = { ...systemClock, random: () => 0.01 }

/** A clock whose sleeps last a turn of the event loop and are written down. */
export function recordingClock(random = 0.5): Clock & { readonly sleeps: number[] } {
  const sleeps: number[] = []
  return {
    sleeps,
    now: () => Date.now(),
    random: () => random,
    sleep: async (milliseconds) => {
      sleeps.push(milliseconds)
      await new Promise((resolve) => setTimeout(resolve, 1))
    },
  }
}

export async function serve(t: TestContext, options: ApiServerOptions = {}): Promise<ApiServer> {
  const server = await startApiServer(options)
  t.after(() => server.close())
  return server
}

export interface Reflecting {
  readonly mirror: Mirror
  stop(): Promise<void>
}

/** A reflector of Services (or another resource) of a server, stopped at the end of the test. */
export function follow(
  t: TestContext,
  server: ApiServer,
  options: {
    resource?: Resource
    tuning?: Partial<ReflectTuning>
    clock?: Clock
    mirror?: Mirror
  } = {},
): Reflecting {
  const transport = createTransport({ server: server.url, insecureSkipTlsVerify: false })
  const mirror = options.mirror ?? new Mirror()
  const controller = new AbortController()
  const ended = reflect({
    resource: options.resource ?? services,
    transport,
    sink: mirror,
    signal: controller.signal,
    log: mirror.log,
    clock: options.clock ?? calmClock,
    tuning: { ...quick, ...options.tuning },
    onHealth: mirror.onHealth,
  })
  const stop = async () => {
    controller.abort()
    await ended
    await transport.close()
  }
  t.after(stop)
  return { mirror, stop }
}

export function service(name: string, more: Partial<KubeObject['metadata']> = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default', ...more },
    spec: { ports: [{ port: 80 }] },
  }
}

export function slice(name: string, endpoints = 2): KubeObject {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: Array.from({ length: endpoints }, (_, index) => ({
      addresses: [`10.244.${Math.floor(index / 250)}.${(index % 250) + 1}`],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: 'node-1',
    })),
  }
}

/** What the server holds, as the mirror names it. */
export function serverNames(server: ApiServer, kind = 'Service'): string[] {
  return server
    .list(kind)
    .map(({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}`)
    .sort()
}
