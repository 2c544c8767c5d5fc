import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createMap, MapType, type MapRef } from 'bpf'
import {
  backend,
  backendState,
  frontendKey,
  frontendName,
  frontendRef,
  frontendWord,
  sourceRangeKey,
} from '../../src/datapath/abi.ts'
import { apply, MapWriteError } from '../../src/datapath/apply.ts'
import { openDatapathMaps, type KernelMaps, type MapHandles } from '../../src/datapath/maps.ts'
import { mapMemory, type MappedArray } from '../../src/datapath/native-memory.ts'
import { restore, type RawDump } from '../../src/datapath/restore.ts'
import { frontendKey as keyOf } from '../../src/model/types.ts'
import { dumpImages } from '../../src/plan/dump.ts'
import type { MapOp } from '../../src/plan/image.ts'
import { tableSizes } from '../../src/plan/maglev.ts'
import { createFakeCluster } from '../fakes/fake-cluster.ts'

const limits = {
  keys: 4096,
  indexes: 2048,
  slots: 8192,
  ids: 8192,
  ranges: 64,
  tableSizes,
}
const mmapable = 1 << 10

interface Opened {
  readonly maps: KernelMaps
  readonly cleared: number[]
  close(): void
}

/** Kernel maps shaped as in maps.h; without memory as on kernels that refuse to map them. */
function openMaps(isMapped: boolean): Opened {
  const refs: MapRef[] = []
  const memories: MappedArray[] = []
  const cleared: number[] = []
  const create = (
    type: MapType,
    sizes: readonly [number, number],
    maxEntries: number,
    flags = 0,
  ) => {
    const ref = createMap({ type, keySize: sizes[0], valueSize: sizes[1], maxEntries, flags })
    refs.push(ref)
    return ref.fd
  }
  const array = (size: number, entries: number, flags = 0): number =>
    create(MapType.ARRAY, [4, size], entries, flags)
  const map = (fd: number): ArrayBuffer | undefined => {
    if (!isMapped) return undefined
    const mapped = mapMemory(fd)
    memories.push(mapped)
    return mapped.memory
  }
  const frontendWords = array(frontendWord.size, limits.indexes, mmapable)
  const backendStates = array(backendState.size, limits.ids, mmapable)
  const handles: MapHandles = {
    frontends: create(MapType.HASH, [frontendKey.size, frontendRef.size], limits.keys),
    frontendWords,
    frontendNames: array(frontendName.size, limits.indexes),
    backends: array(backend.size, limits.slots),
    backendStates,
    sourceRanges: create(MapType.LPM_TRIE, [sourceRangeKey.size, 4], limits.ranges + 1, 1),
    wordsMemory: map(frontendWords),
    statesMemory: map(backendStates),
    clearStats: (index) => cleared.push(index),
  }
  return {
    maps: openDatapathMaps(handles),
    cleared,
    close() {
      for (const memory of memories) memory.close()
      for (const ref of refs) ref.close()
    },
  }
}

/** The ops of a cluster of many Services through several changes. */
function manyOps(): { readonly ops: readonly MapOp[]; readonly dump: RawDump } {
  const cluster = createFakeCluster(limits)
  const ops: MapOp[] = []
  const service = (at: number): object => ({
    metadata: { name: `web-${at}` },
    spec: {
      type: at < 40 ? 'LoadBalancer' : 'ClusterIP',
      clusterIP: `10.96.${at >> 8}.${at & 255}`,
      ports: [{ port: 80 }],
      loadBalancerSourceRanges: [`10.${at}.0.0/16`, '10.0.0.0/8'],
    },
    status: { loadBalancer: { ingress: [{ ip: `198.51.100.${at & 255}` }] } },
  })
  const slice = (at: number, count: number): object => ({
    metadata: { name: `web-${at}`, labels: { 'kubernetes.io/service-name': `web-${at}` } },
    addressType: 'IPv4',
    ports: [{ port: 8080 }],
    endpoints: Array.from({ length: count }, (_, one) => ({
      addresses: [`10.${one + 1}.${at >> 8}.${at & 255}`],
    })),
  })
  for (let at = 0; at < 1500; at++) {
    cluster.upsert('Service', service(at))
    cluster.upsert('EndpointSlice', slice(at, 2))
  }
  ops.push(...cluster.pass())
  for (let at = 0; at < 1500; at += 3) cluster.upsert('EndpointSlice', slice(at, 1))
  for (let at = 1; at < 1500; at += 3) cluster.remove('Service', `default/web-${at}`)
  ops.push(...cluster.pass())
  return { ops, dump: cluster.maps.dump() }
}

function comparable(dump: RawDump): object {
  const keys = dump.keys.map(([key, value]) => `${key.toString('hex')} ${value.toString('hex')}`)
  const ranges = dump.ranges.map((key) => key.toString('hex'))
  return { ...dump, keys: keys.sort(), ranges: ranges.sort() }
}

describe('kernel maps', () => {
  const { ops, dump } = manyOps()
  for (const isMapped of [true, false]) {
    describe(isMapped ? 'with mapped words' : 'without mapped words', () => {
      let opened: Opened
      before(() => (opened = openMaps(isMapped)))
      after(() => opened.close())

      it('hold byte for byte what the fake holds', () => {
        assert.deepEqual(opened.maps.limits, limits)
        apply(ops, opened.maps)
        assert.deepEqual(comparable(opened.maps.dump()), comparable(dump))
        assert.deepEqual(opened.cleared, [])
      })

      it('are restored to the same state', () => {
        const text = (raw: RawDump): string => dumpImages(restore(raw).services.values())
        assert.equal(text(opened.maps.dump()), text(dump))
        assert.equal(restore(opened.maps.dump()).services.size, 1000)
      })

      it('take the same ops again, missing keys included', () => {
        apply(ops, opened.maps)
        assert.deepEqual(comparable(opened.maps.dump()), comparable(dump))
      })

      it('name the key that did not fit', () => {
        const extra = Array.from({ length: 3000 }, (_, at): MapOp => {
          const key = keyOf('10.200.0.1', at + 1, 'TCP')
          return { kind: 'key', key, index: 1 }
        })
        const free = limits.keys - opened.maps.dump().keys.length
        assert.throws(
          () => apply(extra, opened.maps),
          (error) => {
            assert.ok(error instanceof MapWriteError)
            assert.match(error.message, /^write frontends\[10\.200\.0\.1:\d+\/TCP\]: E2BIG$/)
            assert.ok(error.applied >= free && error.applied < free + 64, `${error.applied}`)
            return true
          },
        )
      })
    })
  }
})
