import { binding, check } from './native-binding.ts'

/** Kernel numbers of the map types and program types asked about here. */
export const mapTypes = { hash: 1, array: 2, lruHash: 9, lpmTrie: 11, ringBuffer: 27 } as const
export const programTypes = { tc: 3, xdp: 6, cgroupSockAddr: 18 } as const
export const helpers = {
  fibLookup: 69,
  ringbufOutput: 130,
  redirectNeigh: 152,
  redirectPeer: 155,
  ktimeGetCoarseNs: 160,
  forEachMapElem: 164,
  loop: 181,
} as const

const errnoNotSupported = -95

/** Can the kernel attach tcx links? Found by trying on a device that cannot exist. */
export function hasTcx(): boolean {
  return answer(binding().probeTcx(), 'probe tcx links')
}

/** Can arrays be mapped into memory? */
export function hasMmapableArrays(): boolean {
  return answer(binding().probeMmapable(), 'probe mapped arrays')
}

export function hasMapType(type: number): boolean {
  return answer(binding().probeMapType(type), `probe map type ${type}`)
}

export function hasProgramType(type: number): boolean {
  return answer(binding().probeProgType(type), `probe program type ${type}`)
}

/** May programs of this type call this helper? */
export function hasHelper(programType: number, helper: number): boolean {
  const what = `probe helper ${helper} in programs of type ${programType}`
  return answer(binding().probeHelper(programType, helper), what)
}

/*
 * EOPNOTSUPP: libbpf itself does not know what is asked about. What it says while probing is
 * expected and must not end up in a later error.
 */
function answer(result: number, what: string): boolean {
  const said = result === errnoNotSupported ? 0 : check(result, what)
  binding().logTake()
  return said === 1
}
