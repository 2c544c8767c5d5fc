import { openNetlink } from '../datapath/native-events.ts'
import type { NetlinkSocket } from '../datapath/native-events.ts'
import { ShuntError } from '../errors.ts'
import { applyMessage, compareTables, emptyTable, mayMoveRoutes } from './link-table.ts'
import type { GrowingTable, LinkChange, LinkTable } from './link-table.ts'
import { dumpRequest, groups, parseMessages } from './rtnetlink.ts'
import type { DumpSubject, NetlinkMessage } from './rtnetlink.ts'

export interface LinkReader {
  /** Called once for each change, after `table` has it; at first for everything that is there. */
  onChange?(change: LinkChange, table: LinkTable): void
  /** The kernel cannot be listened to any more; the watch is closed. */
  onError(error: Error): void
  /** Events were lost; the table is being read anew and the changes will follow. */
  onOverrun?(): void
  readonly keepsRunning?: boolean
  readonly receiveBytes?: number
  /** Listen to changes? Yes unless told. */
  readonly events?: boolean
}

export interface LinkWatch {
  /** Right as of the last event; complete from `ready` on. */
  readonly table: LinkTable
  readonly ready: Promise<void>
  close(): void
}

type Extent = 'everything' | 'routes'

/** A reading of the kernel's state that is under way. */
interface Reading {
  readonly extent: Extent
  /* Events that arrive meanwhile go in as well: the kernel queues replies and events in order. */
  readonly table: GrowingTable
  readonly left: DumpSubject[]
  sequence: number
  isInterrupted: boolean
}

const subjects: Readonly<Record<Extent, readonly DumpSubject[]>> = {
  everything: ['links', 'addresses', 'routes4', 'routes6'],
  routes: ['routes4', 'routes6'],
}
const defaultReceiveBytes = 4 << 20
const maxInterrupted = 16
const errnoMissing = -2

/** The devices, addresses and default routes of this network namespace, once. */
export async function readLinks(): Promise<LinkTable> {
  const failed = Promise.withResolvers<never>()
  const watch = new KernelLinks({ onError: failed.reject, events: false })
  try {
    await Promise.race([watch.ready, failed.promise])
    return watch.table
  } finally {
    watch.close()
  }
}

/** Keeps a table of the devices, addresses and default routes of this network namespace. */
export function watchLinks(reader: LinkReader): LinkWatch {
  return new KernelLinks(reader)
}

class KernelLinks implements LinkWatch {
  table: GrowingTable = emptyTable()
  readonly ready: Promise<void>
  #resolveReady: () => void = () => undefined
  readonly #reader: LinkReader
  #socket: NetlinkSocket
  #reading: Reading | undefined
  /* To be read after that. */
  #next: Extent | undefined
  #sequence = 0
  #interrupted = 0
  #isOpen = true

  constructor(reader: LinkReader) {
    this.#reader = reader
    this.ready = new Promise((resolve) => (this.#resolveReady = resolve))
    this.#socket = this.#open()
    this.#read('everything')
  }

  #open(): NetlinkSocket {
    const { events, receiveBytes, keepsRunning } = this.#reader
    return openNetlink({
      groups: events === false ? [] : Object.values(groups),
      receiveBytes: receiveBytes ?? defaultReceiveBytes,
      keepsRunning: keepsRunning ?? true,
      onMessages: (bytes) => this.#take(bytes),
      onOverrun: () => this.#startOver(),
      onError: (error) => this.#fail(error),
    })
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#socket.close()
  }

  /* One reading at a time: the kernel refuses a second dump on one socket. */
  #read(extent: Extent): void {
    if (this.#reading !== undefined) {
      this.#next = extent
      return
    }
    const { links, addresses } = this.table
    const isRoutes = extent === 'routes'
    const table = isRoutes
      ? { links: new Map(links), addresses: new Map(addresses), defaultRoutes: [] }
      : emptyTable()
    const left = [...subjects[extent]]
    this.#reading = { extent, table, left, sequence: 0, isInterrupted: false }
    this.#request(this.#reading)
  }

  #request(reading: Reading): void {
    reading.sequence = ++this.#sequence
    try {
      this.#socket.send(dumpRequest(reading.left[0]!, reading.sequence))
    } catch (error) {
      this.#fail(error as Error) // send() throws ShuntError only
    }
  }

  #take(bytes: Buffer): void {
    for (const message of parseMessages(bytes)) {
      if (!this.#isOpen) return
      const reading = this.#reading
      const isOurs = message.sequence === reading?.sequence
      if (isOurs && (message.kind === 'done' || message.kind === 'error')) {
        this.#endDump(reading, message.errno, message.isInterrupted)
      } else if (isOurs && message.isReply) {
        reading.isInterrupted ||= message.isInterrupted
        applyMessage(reading.table, message)
      } else if (!message.isReply) {
        this.#event(message)
      }
    }
  }

  #event(event: NetlinkMessage): void {
    const reading = this.#reading
    const table = reading?.table ?? this.table
    if (mayMoveRoutes(this.table, event) || mayMoveRoutes(table, event)) this.#read('routes')
    if (event.kind === 'route') return
    const changes = applyMessage(table, event)
    if (reading === undefined) this.#tell(changes)
  }

  #endDump(reading: Reading, errno: number, isInterrupted: boolean): void {
    reading.isInterrupted ||= isInterrupted
    const subject = reading.left.shift()
    // the routing table of a family may not exist yet
    if (errno !== 0 && !(errno === errnoMissing && subject?.startsWith('routes'))) {
      const what = `list ${subject ?? 'devices'} of this network namespace`
      this.#fail(new ShuntError('KSH_KERNEL', `${what}: the kernel answers ${errno}`))
    } else if (reading.left.length > 0) {
      this.#request(reading)
    } else {
      this.#endReading(reading)
    }
  }

  /* A reading that the kernel marks as inconsistent starts over. */
  #endReading(reading: Reading): void {
    this.#reading = undefined
    const next = this.#next
    this.#next = undefined
    if (reading.isInterrupted && this.#interrupted < maxInterrupted) {
      this.#interrupted++
      this.#read(reading.extent)
      return
    }
    this.#interrupted = 0
    const changes = compareTables(this.table, reading.table)
    this.table = reading.table
    this.#tell(changes)
    this.#resolveReady()
    if (next !== undefined && this.#isOpen) this.#read(next)
  }

  /*
   * After an overrun what still waits in the socket is out of date, and a reading may be stuck in
   * it; a new socket has neither, and joins its groups before it reads.
   */
  #startOver(): void {
    this.#socket.close()
    this.#reading = undefined
    this.#next = undefined
    try {
      this.#socket = this.#open()
    } catch (error) {
      this.#fail(error as Error) // openNetlink() throws ShuntError only
      return
    }
    this.#reader.onOverrun?.()
    if (this.#isOpen) this.#read('everything')
  }

  #tell(changes: readonly LinkChange[]): void {
    for (const change of changes) {
      if (this.#isOpen) this.#reader.onChange?.(change, this.table)
    }
  }

  #fail(error: Error): void {
    if (!this.#isOpen) return
    this.close()
    this.#reader.onError(error)
  }
}
