import { binding, check, refusal } from './native-binding.ts'
import type { NetlinkHandle, RingHandle } from './native-binding.ts'

const errnoOverrun = -105 // ENOBUFS

export interface RingReader {
  /** Called with up to a few thousand records at once, oldest first. */
  onRecords(records: readonly Buffer[]): void
  /** Records were lost, or none can be read any more. */
  onError(error: Error): void
  /** Does an open ring alone keep the process running? Yes unless told. */
  readonly keepsRunning?: boolean
}

export interface NetlinkReader {
  /** Called with whole messages, one after another, as the kernel sent them. */
  onMessages(messages: Buffer): void
  /** The kernel dropped messages: what was learnt from them is out of date. */
  onOverrun(): void
  /** The socket cannot be read any more and is closed. */
  onError(error: Error): void
  /** Multicast groups (RTNLGRP_*) to listen to. */
  readonly groups: readonly number[]
  readonly receiveBytes?: number
  readonly keepsRunning?: boolean
}

export interface NetlinkSocket {
  send(request: Buffer): void
  close(): void
}

/* The addon closes what JavaScript forgets; nobody forgets what is here. */
const open = new Set<RingHandle | NetlinkHandle>()

/** Delivers the records of a ring buffer map until closed. */
export function openRing(mapFd: number, reader: RingReader): { close(): void } {
  const wakeup = (batch: Buffer, error: number) => {
    if (error < 0) reader.onError(refusal(error, 'read ring buffer'))
    else reader.onRecords(splitRecords(batch))
  }
  const keepsRunning = reader.keepsRunning === false ? 0 : 1
  const what = `open ring buffer of fd ${mapFd}`
  const ring = check<RingHandle>(binding().ringOpen(mapFd, wakeup, keepsRunning), what)
  open.add(ring)
  return {
    close: () => {
      binding().ringClose(ring)
      open.delete(ring)
    },
  }
}

/* Per record: u32 length, u32 zero, the bytes, padding to 8. */
function splitRecords(batch: Buffer): Buffer[] {
  const records: Buffer[] = []
  for (let at = 0; at + 8 <= batch.length;) {
    const length = batch.readUInt32LE(at)
    records.push(batch.subarray(at + 8, at + 8 + length))
    at += 8 + Math.ceil(length / 8) * 8
  }
  return records
}

/** An rtnetlink socket of the network namespace this process is in. */
export function openNetlink(reader: NetlinkReader): NetlinkSocket {
  const wakeup = (messages: Buffer, error: number) => {
    if (error === errnoOverrun) reader.onOverrun()
    else if (error < 0) reader.onError(refusal(error, 'read rtnetlink socket'))
    else reader.onMessages(messages)
  }
  const keepsRunning = reader.keepsRunning === false ? 0 : 1
  const result = binding().netlinkOpen(reader.receiveBytes ?? 0, wakeup, keepsRunning)
  const socket = check<NetlinkHandle>(result, 'open rtnetlink socket')
  open.add(socket)
  const close = () => {
    binding().netlinkClose(socket)
    open.delete(socket)
  }
  try {
    for (const group of reader.groups) {
      check(binding().netlinkJoin(socket, group), `join rtnetlink group ${group}`)
    }
  } catch (error) {
    close()
    throw error
  }
  return {
    send: (request) => void check(binding().netlinkSend(socket, request), 'send to rtnetlink'),
    close,
  }
}
