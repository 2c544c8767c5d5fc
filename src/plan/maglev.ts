/*
 * Maglev's consistent hashing (Eisenbud et al., NSDI 2016, section 3.4): a table in which every
 * backend has as many places as any other, give or take one, and which changes little when a
 * backend comes or goes. It depends on the backends' names alone, so all nodes have the same.
 */

/** Sizes of tables, all prime; two of the largest fit into one extent (docs/adr/0009). */
export const tableSizes: readonly number[] = [1021, 4093, 16_381, 32_749]

/** Places a backend gets at least before the next size is taken. */
const leastPlaces = 10

/** The size of the table for so many backends; undefined: they are too many for any. */
export function tableSize(backends: number, sizes: readonly number[]): number | undefined {
  const roomy = sizes.find((size) => size >= leastPlaces * backends)
  const largest = sizes.at(-1) ?? 0
  return roomy ?? (largest >= 2 * backends ? largest : undefined)
}

/** Which backend has each place, as positions in `names`, whatever their order; no two are equal. */
export function fillTable(names: readonly string[], size: number): Uint16Array {
  const table = new Uint16Array(size)
  if (names.length === 0) return table
  const inOrder = names.map((name, at) => ({ name, at })).sort(compareNames)
  const next = inOrder.map(({ name }) => hash(name, offsetSeed) % size)
  const skip = inOrder.map(({ name }) => (hash(name, skipSeed) % (size - 1)) + 1)
  const isTaken = new Uint8Array(size)
  for (let filled = 0, turn = 0; filled < size; filled++, turn = (turn + 1) % inOrder.length) {
    let place = next[turn]!
    while (isTaken[place] === 1) place = (place + skip[turn]!) % size
    isTaken[place] = 1
    table[place] = inOrder[turn]!.at
    next[turn] = (place + skip[turn]!) % size
  }
  return table
}

function compareNames(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1
}

const offsetSeed = 0x9747b28c
const skipSeed = 0x5bd1e995

/* FNV-1a with murmur3's finish, as its last bytes alone would not reach the low bits. */
function hash(text: string, seed: number): number {
  let mixed = 0x811c9dc5 ^ seed
  for (let at = 0; at < text.length; at++) {
    mixed = Math.imul(mixed ^ text.charCodeAt(at), 0x01000193)
  }
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
