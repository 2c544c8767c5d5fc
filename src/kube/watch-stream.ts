import { ApiError, errorFromStatus } from './api-error.ts'
import { Breather } from './breather.ts'
import { openDeadline } from './deadline.ts'
import { LineSplitter } from './lines.ts'
import { deepProperty, property, textProperty } from './parse-raw.ts'
import type { Resource } from './resources.ts'
import type { Transport } from './transport.ts'

export type WatchEvent =
  | { readonly kind: 'upsert' | 'remove'; readonly raw: unknown; readonly resourceVersion: string }
  | {
      readonly kind: 'bookmark'
      readonly resourceVersion: string
      readonly initialEventsEnd: boolean
    }

export interface WatchRequest {
  readonly transport: Transport
  readonly resource: Resource
  /** Where to go on; undefined asks for all objects first (a streaming list). */
  readonly resourceVersion: string | undefined
  readonly timeoutSeconds: number
  readonly inactivityMs: number
  /** Silence allowed before the streaming list is complete. */
  readonly initialSilenceMs: number
  readonly maxObjectBytes: number
  readonly signal: AbortSignal
  onEvent(event: WatchEvent): void
}

/** Why a watch ended without an error. */
export type WatchEnd = 'closed' | 'silent'

/** Follows one watch until the server ends it or falls silent; throws an ApiError for the rest. */
export async function followWatch(request: WatchRequest): Promise<WatchEnd> {
  const streaming = request.resourceVersion === undefined
  const deadline = openDeadline(
    request.signal,
    streaming ? request.initialSilenceMs : request.inactivityMs,
  )
  try {
    const { body } = await request.transport.open({
      path: request.resource.path,
      query: watchQuery(request),
      signal: deadline.signal,
    })
    const splitter = new LineSplitter(request.maxObjectBytes)
    const breather = new Breather()
    for await (const chunk of body) {
      deadline.touch()
      for (const line of splitter.push(chunk)) {
        const event = readEvent(line, request.resource)
        if (event.kind === 'bookmark' && event.initialEventsEnd)
          deadline.touch(request.inactivityMs)
        request.onEvent(event)
        if (breather.due()) await breather.rest()
        if (request.signal.aborted) return 'closed'
      }
    }
    if (splitter.rest > 0) throw new ApiError('the watch was cut inside an event', { status: 0 })
    return 'closed'
  } catch (error) {
    if (deadline.expired()) return 'silent'
    throw error
  } finally {
    deadline.close()
  }
}

function watchQuery(request: WatchRequest): Record<string, string> {
  return {
    ...selectors(request.resource),
    watch: 'true',
    allowWatchBookmarks: 'true',
    timeoutSeconds: String(request.timeoutSeconds),
    ...(request.resourceVersion === undefined
      ? { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' }
      : { resourceVersion: request.resourceVersion }),
  }
}

/** The part of a query that says which objects are wanted. */
export function selectors(resource: Resource): Record<string, string> {
  return {
    ...(resource.labelSelector !== undefined && { labelSelector: resource.labelSelector }),
    ...(resource.fieldSelector !== undefined && { fieldSelector: resource.fieldSelector }),
  }
}

function readEvent(line: string, resource: Resource): WatchEvent {
  const event = parseLine(line)
  const type = property(event, 'type')
  const raw = property(event, 'object')
  const metadata = property(raw, 'metadata')
  const resourceVersion = textProperty(metadata, 'resourceVersion')
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
      return { kind: 'upsert', raw, resourceVersion }
    case 'DELETED':
      return { kind: 'remove', raw, resourceVersion }
    case 'BOOKMARK': {
      const end = deepProperty(metadata, 'annotations', 'k8s.io/initial-events-end') === 'true'
      return { kind: 'bookmark', resourceVersion, initialEventsEnd: end }
    }
    case 'ERROR':
      throw errorFromStatus(`watch ${resource.path}`, raw, { status: 0, inStream: true })
    default:
      throw new ApiError(`watch ${resource.path}: event of an unknown type`, {
        status: 0,
        inStream: true,
      })
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw new ApiError('a line of the watch is not JSON', { status: 0 }, { cause })
  }
}
