import { join } from 'node:path'
import { openMap } from '../../src/datapath/maps.ts'
import { testRun } from '../../src/datapath/native-run.ts'
import { indexKey } from '../../src/datapath/percpu.ts'
import { compile } from '../compile.ts'

/** Offsets in struct turn. */
const maskAt = 4
const frameAt = 8
const turnSize = 64

/** Runs a program on a packet of another flow each time. */
export interface Turner {
  readonly empty: number
  readonly emptyXdp: number
  /** Nanoseconds of one run, the turning included; goes on with the flow after the last one. */
  run(about: Turning): number
}

export interface Turning {
  readonly programFd: number
  /** What kind of program it is; tc unless told. XDP is given the same flow each time. */
  readonly kind?: 'tc' | 'xdp'
  /** 54 bytes: the flow with the number 0. */
  readonly frame: Buffer
  /** A power of two. */
  readonly flows: number
  readonly repeat: number
}

/** Loads turn() and the empty program. */
export function openTurner(): Turner {
  const object = compile(join(import.meta.dirname, 'turn.bpf.c'))
  object.load()
  const turns = openMap(object.mapFd('turns'))
  const targets = {
    tc: { map: openMap(object.mapFd('target')), turn: object.programFd('turn') },
    xdp: { map: openMap(object.mapFd('xdp_target')), turn: object.programFd('turn_xdp') },
  }
  let next = 0
  return {
    empty: object.programFd('empty'),
    emptyXdp: object.programFd('empty_xdp'),
    run({ programFd, kind = 'tc', frame, flows, repeat }) {
      if (frame.length !== 54) throw new Error(`a frame of ${frame.length} bytes`)
      const state = Buffer.alloc(turnSize)
      state.writeUInt32LE(next, 0)
      state.writeUInt32LE(flows - 1, maskAt)
      frame.copy(state, frameAt)
      turns.set(indexKey(0), state)
      const { map, turn } = targets[kind]
      map.set(indexKey(0), indexKey(programFd))
      next = (next + repeat) >>> 0
      return testRun({ programFd: turn, data: frame, repeat }).duration
    },
  }
}
