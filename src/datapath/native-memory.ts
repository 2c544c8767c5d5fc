import { binding, check } from './native-binding.ts'
import { mapInfo } from './native-info.ts'

/** An array map as memory: a store is seen by the next lookup of any program. */
export interface MappedArray {
  readonly memory: ArrayBuffer
  /** All values, each padded to whole words; Atomics.store() on it is one 8-byte store. */
  readonly words: BigUint64Array
  readonly wordsPerValue: number
  /** Detaches `words`: later stores throw. */
  close(): void
}

/** Maps an array made with BPF_F_MMAPABLE; the fd may be closed afterwards. */
export function mapMemory(fd: number): MappedArray {
  const { name, valueSize } = mapInfo(fd)
  const memory = check<ArrayBuffer>(binding().mapMemory(fd), `map memory of ${name}`)
  return {
    memory,
    words: new BigUint64Array(memory),
    wordsPerValue: Math.ceil(valueSize / 8),
    close: () => {
      if (!memory.detached) binding().mapMemoryClose(memory)
    },
  }
}
