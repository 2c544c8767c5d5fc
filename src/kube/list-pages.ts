import { ApiError } from './api-error.ts'
import { Breather } from './breather.ts'
import { openDeadline } from './deadline.ts'
import { ItemSplitter } from './json-items.ts'
import { property, textProperty } from './parse-raw.ts'
import type { Resource } from './resources.ts'
import type { Transport } from './transport.ts'
import { selectors } from './watch-stream.ts'

export interface ListRequest {
  readonly transport: Transport
  readonly resource: Resource
  readonly pageSize: number
  readonly inactivityMs: number
  readonly maxObjectBytes: number
  readonly signal: AbortSignal
  onItem(raw: unknown): void
  /** The pages had to be given up; everything is listed again in one go. */
  onRestart(): void
}

/** Lists a collection page by page and answers the version to watch from. */
export async function listPages(request: ListRequest): Promise<string> {
  let continueToken = ''
  for (;;) {
    try {
      const page = await readPage(request, {
        limit: String(request.pageSize),
        ...(continueToken !== '' && { continue: continueToken }),
      })
      if (page.continueToken === '') return page.resourceVersion
      continueToken = page.continueToken
    } catch (error) {
      const expired = error instanceof ApiError && error.status === 410 && continueToken !== ''
      if (!expired) throw error
      request.onRestart()
      return (await readPage(request, {})).resourceVersion
    }
  }
}

async function readPage(
  request: ListRequest,
  query: Readonly<Record<string, string>>,
): Promise<{ resourceVersion: string; continueToken: string }> {
  const deadline = openDeadline(request.signal, request.inactivityMs)
  try {
    const { body } = await request.transport.open({
      path: request.resource.path,
      query: { ...selectors(request.resource), ...query },
      compressed: true,
      signal: deadline.signal,
    })
    const splitter = new ItemSplitter(request.maxObjectBytes)
    const breather = new Breather()
    for await (const chunk of body) {
      deadline.touch()
      for (const item of splitter.push(chunk)) {
        request.onItem(JSON.parse(item))
        if (breather.due()) await breather.rest()
        request.signal.throwIfAborted()
      }
    }
    const metadata = property(splitter.end(), 'metadata')
    const resourceVersion = textProperty(metadata, 'resourceVersion')
    if (resourceVersion === '')
      throw new ApiError(`list ${request.resource.path}: no resourceVersion`, { status: 0 })
    return { resourceVersion, continueToken: textProperty(metadata, 'continue') }
  } catch (error) {
    if (!deadline.expired()) throw error
    const what = `list ${request.resource.path}: nothing arrived for ${request.inactivityMs / 1000} s`
    throw new ApiError(what, { status: 0 }, { cause: error })
  } finally {
    deadline.close()
  }
}
