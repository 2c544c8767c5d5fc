import type { Tale } from './events.ts'

export interface EventObject {
  readonly tale: Tale
  readonly name: string
  readonly namespace: string
  readonly instance: string
  readonly first: number
  readonly last: number
  readonly count: number
}

const maxNote = 1024

/** An Event of events.k8s.io/v1 as kube-proxy writes it. */
export function eventBody(event: EventObject): Readonly<Record<string, unknown>> {
  const { tale, name, namespace, instance, first, count } = event
  const { kind, uid } = tale.regarding
  const isSlice = kind === 'EndpointSlice'
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name, namespace },
    eventTime: microTime(first),
    reportingController: 'kube-proxy',
    reportingInstance: instance.slice(0, 128),
    action: tale.action,
    reason: tale.reason,
    type: tale.type,
    note: tale.note.length > maxNote ? `${tale.note.slice(0, maxNote - 3)}...` : tale.note,
    regarding: {
      apiVersion: isSlice ? 'discovery.k8s.io/v1' : 'v1',
      kind,
      name: tale.regarding.name,
      ...(tale.regarding.namespace === '' ? {} : { namespace: tale.regarding.namespace }),
      ...(uid === '' ? {} : { uid }),
    },
    ...(count > 1 ? seriesBody(event) : {}),
  }
}

/** How often it has happened. */
export function seriesBody({ count, last }: Pick<EventObject, 'count' | 'last'>): {
  readonly series: { readonly count: number; readonly lastObservedTime: string }
} {
  return { series: { count, lastObservedTime: microTime(last) } }
}

/* A time of the API with six digits after the second. */
function microTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('Z', '000Z')
}
