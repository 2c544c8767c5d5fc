import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProxyHealth } from '../../src/health/proxy-health.ts'
import type { Tale } from '../../src/kube/events.ts'
import { Metrics } from '../../src/metrics/metrics.ts'
import {
  serviceName,
  servicePortName,
  type FrontendKind,
  type Node,
  type ServiceName,
} from '../../src/model/types.ts'
import { createObjectReports } from '../../src/object-reports.ts'
import { LocallessServices } from '../../src/pass-reports.ts'
import type { FrontendImage, ServiceImage } from '../../src/plan/image.ts'
import type { PlanRefusal } from '../../src/plan/state.ts'

const web = serviceName('shop', 'web')

function reporting() {
  const tales: Tale[] = []
  const warnings: object[] = []
  const noop = (): void => undefined
  const metrics = new Metrics(
    { readCounters: () => [], readMaps: () => [], readFrontends: () => [] },
    '',
  )
  const health = new ProxyHealth()
  const reports = createObjectReports({
    metrics,
    health,
    events: { record: (tale) => tales.push(tale), connect: noop },
    log: { debug: noop, info: noop, error: noop, warn: (fields) => warnings.push(fields) },
    uidOf: (name) => `uid of ${name}`,
  })
  const refused = async (): Promise<string[]> => {
    const { body } = await metrics.scrape()
    return body.split('\n').filter((line) => line.startsWith('kubeshunt_refused_objects{'))
  }
  return { reports, tales, warnings, refused, health }
}

function piece(field: string): { field: string; value: string; reason: string } {
  return { field, value: '"x"', reason: 'is not a port number' }
}

test('objectReports: each refused piece is an Event about its object, and counted while it lasts', async () => {
  const { reports, tales, refused } = reporting()
  const object = { kind: 'Service', name: 'shop/web', uid: 'u1' } as const
  reports.refused({ ...object, refusals: [piece('spec.ports[0]'), piece('spec.ports[1]')] })
  assert.deepEqual(tales[0], {
    regarding: { kind: 'Service', namespace: 'shop', name: 'web', uid: 'u1' },
    type: 'Warning',
    reason: 'NotServedAsWritten',
    action: 'Parse',
    note: 'spec.ports[0]: "x" is not a port number',
  })
  assert.equal(tales.length, 2)
  assert.deepEqual(await refused(), [
    'kubeshunt_refused_objects{kind="Service",reason="is not a port number"} 2',
  ])
  reports.refused({ ...object, refusals: [] })
  assert.deepEqual(await refused(), [])
})

test('objectReports: an object with many refused pieces gets a few Events', () => {
  const { reports, tales } = reporting()
  const refusals = Array.from({ length: 100 }, (_, at) => piece(`spec.ports[${at}]`))
  reports.refused({ kind: 'Service', name: 'shop/web', uid: 'u1', refusals })
  assert.equal(tales.length, 5)
})

test('objectReports: a Service refused for what is around it is found by its uid', () => {
  const { reports, tales } = reporting()
  reports.refused({ kind: 'Service', name: 'shop/web', uid: '', refusals: [piece('x')] })
  assert.equal(tales[0]?.regarding.uid, 'uid of shop/web')
})

function refusal(detail: string): PlanRefusal {
  const servicePort = servicePortName(web, 'http', 'TCP')
  return { service: web, servicePort, kind: 'ClusterIP', reason: 'taken', detail }
}

test('objectReports: a frontend without a place is told when it loses it, not at every pass', async () => {
  const { reports, tales, warnings, refused } = reporting()
  reports.unplaced([refusal('10.96.0.1:80 is of shop/old')])
  reports.unplaced([refusal('10.96.0.1:80 is of shop/old'), refusal('10.96.0.2:80 is of shop/b')])
  assert.deepEqual(
    tales.map(({ reason, note }) => `${reason}: ${note}`),
    [
      'AddressTaken: ClusterIP of shop/web:http/TCP: 10.96.0.1:80 is of shop/old',
      'AddressTaken: ClusterIP of shop/web:http/TCP: 10.96.0.2:80 is of shop/b',
    ],
  )
  assert.equal(warnings.length, 2)
  assert.equal(tales[0]?.regarding.uid, 'uid of shop/web')
  assert.deepEqual(await refused(), ['kubeshunt_refused_objects{kind="Service",reason="taken"} 2'])
  reports.unplaced([])
  assert.deepEqual(await refused(), [])
  reports.unplaced([refusal('10.96.0.1:80 is of shop/old')])
  assert.equal(tales.length, 3)
})

test('objectReports: a node that is being deleted or is tainted to go is not eligible', () => {
  const { reports, health } = reporting()
  const node: Node = {
    ...{ name: 'n1', zone: '', addresses: [], podCIDRs: [], uid: '', labels: new Map() },
    ...{ taints: [], deleting: false },
  }
  const isEligible = (change: Partial<Node>): boolean => {
    reports.node({ ...node, ...change })
    return health.report(0).isNodeEligible
  }
  assert.equal(isEligible({ deleting: true }), false)
  assert.equal(isEligible({}), true)
  assert.equal(isEligible({ taints: ['ToBeDeletedByClusterAutoscaler'] }), false)
  assert.equal(isEligible({ taints: ['node.kubernetes.io/unschedulable'] }), true)
  reports.node({ ...node, deleting: true })
  reports.node(undefined)
  assert.equal(health.report(0).isNodeEligible, true)
})

function image(kind: FrontendKind, extra: Partial<FrontendImage>): ServiceImage {
  const localOnly = { localOnly: false, externalLocalOnly: false }
  const frontend = { kind, family: 4, count: 2, local: 0, ...localOnly, ...extra } as FrontendImage
  return { service: web, frontends: [frontend] }
}

function counts(services: ReadonlyMap<ServiceName, ServiceImage>): string[] {
  return new LocallessServices()
    .update([web], { services: new Map(services) })
    .filter(({ count }) => count > 0)
    .map(({ family, policy, count }) => `${family} ${policy} ${count}`)
}

test('LocallessServices: counts Services by the policy that leaves them without a backend', () => {
  const of = (kind: FrontendKind, extra: Partial<FrontendImage>): string[] =>
    counts(new Map([[web, image(kind, extra)]]))
  assert.deepEqual(of('ClusterIP', { localOnly: true }), ['4 internal 1'])
  assert.deepEqual(of('ClusterIP', { localOnly: true, family: 6 }), ['6 internal 1'])
  assert.deepEqual(of('NodePort', { externalLocalOnly: true }), ['4 external 1'])
  assert.deepEqual(of('ClusterIP', { localOnly: true, local: 1 }), [])
  assert.deepEqual(of('ClusterIP', { localOnly: true, count: 0 }), [])
  assert.deepEqual(of('ClusterIP', {}), [])
})

test('LocallessServices: forgets a Service that has a backend again, or is gone', () => {
  const localless = new LocallessServices()
  const update = (service: ServiceImage | undefined): number => {
    const services = new Map(service === undefined ? [] : [[web, service] as const])
    return localless.update([web], { services }).reduce((sum, { count }) => sum + count, 0)
  }
  assert.equal(update(image('ClusterIP', { localOnly: true })), 1)
  assert.equal(update(image('ClusterIP', { localOnly: true, local: 1 })), 0)
  assert.equal(update(image('ClusterIP', { localOnly: true })), 1)
  assert.equal(update(undefined), 0)
})
