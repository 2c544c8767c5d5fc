import { existsSync, mkdirSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { createMap, MapType, type MapRef } from 'bpf'
import {
  backend,
  backendState,
  counterNames,
  flow,
  flowKey,
  frontendKey,
  frontendName,
  frontendRef,
  frontendStats,
  frontendWord,
  sourceRangeKey,
} from '../../src/datapath/abi.ts'
import { openDatapathMaps, openMap, type KernelMaps } from '../../src/datapath/maps.ts'
import { pin } from '../../src/datapath/native.ts'
import { possibleCpus } from '../../src/datapath/percpu.ts'
import { binding, check } from '../../src/datapath/native-binding.ts'
import { rootPaths } from '../../src/datapath/root.ts'

const { HASH, ARRAY, LRU_HASH, PERCPU_ARRAY, LPM_TRIE } = MapType

/** BPF_F_NO_PREALLOC, without which there are no tries. */
const noPrealloc = 1

const definitions = {
  frontends: [HASH, frontendKey.size, frontendRef.size, 64],
  frontend_words: [ARRAY, 4, frontendWord.size, 16],
  frontend_names: [ARRAY, 4, frontendName.size, 16],
  backends: [ARRAY, 4, backend.size, 32],
  backend_states: [ARRAY, 4, backendState.size, 32],
  source_ranges: [LPM_TRIE, sourceRangeKey.size, 4, 16],
  flows: [LRU_HASH, flowKey.size, flow.size, 1024],
  half_open: [LRU_HASH, flowKey.size, flow.size, 128],
  counters: [PERCPU_ARRAY, 4, 8, counterNames.length],
  frontend_stats: [PERCPU_ARRAY, 4, frontendStats.size, 16],
} as const

export type FlowKey = Parameters<typeof flowKey.format>[1]
export type Flow = Parameters<typeof flow.format>[1]

/** Real maps, made by hand and pinned as the agent pins its own. */
export interface PinnedRoot {
  readonly path: string
  readonly maps: KernelMaps
  setFlow(table: 'flows' | 'half_open', key: FlowKey, value: Flow): void
  setCounter(name: (typeof counterNames)[number], perCpu: bigint): void
  remove(): void
}

let roots = 0

/** A root of this process's own under the bpf file system. */
export function makePinnedRoot(): PinnedRoot {
  const path = `/sys/fs/bpf/ksc-${process.pid}-${++roots}`
  const root = rootPaths(path)
  for (const directory of [root.maps, root.links, root.programs]) {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  }
  const refs = new Map<string, MapRef>()
  for (const [name, [type, keySize, valueSize, maxEntries]] of Object.entries(definitions)) {
    const flags = type === LPM_TRIE ? noPrealloc : 0
    const map = createMap({ type, keySize, valueSize, maxEntries, flags, name })
    pin(map.fd, join(root.maps, name))
    refs.set(name, map)
  }
  const fd = (name: string): number => refs.get(name)!.fd
  return {
    path,
    maps: openDatapathMaps({
      frontends: fd('frontends'),
      frontendWords: fd('frontend_words'),
      frontendNames: fd('frontend_names'),
      backends: fd('backends'),
      backendStates: fd('backend_states'),
      sourceRanges: fd('source_ranges'),
      clearStats: () => undefined,
    }),
    setFlow(table, key, value) {
      const bytes = { key: Buffer.alloc(flowKey.size), value: Buffer.alloc(flow.size) }
      flowKey.format(bytes.key, key)
      flow.format(bytes.value, value)
      openMap(fd(table)).set(bytes.key, bytes.value)
    },
    setCounter(name, perCpu) {
      const key = Buffer.alloc(4)
      key.writeUInt32LE(counterNames.indexOf(name))
      const values = Buffer.from(new BigUint64Array(possibleCpus()).fill(perCpu).buffer)
      check(binding().mapUpdate(fd('counters'), key, values, 0), 'set counter')
    },
    remove() {
      for (const ref of refs.values()) ref.close()
      removeTree(path)
    },
  }
}

/* bpffs has no recursive removal of its own worth trusting with foreign pins. */
function removeTree(path: string): void {
  if (!existsSync(path)) return
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const at = join(path, entry.name)
    if (entry.isDirectory()) removeTree(at)
    else unlinkSync(at)
  }
  rmdirSync(path)
}
