import fc from 'fast-check'
import { mutated, node, odd, service, slice } from './mutate.ts'

/** An object of a kind with odd values anywhere in it; the number may make a name of it. */
export type Hostile = readonly [kind: string, raw: unknown, name: number]

/** Objects as nobody should send them; many of their values are wanted by somebody else. */
export function hostileObjects(wanted: readonly unknown[]): fc.Arbitrary<Hostile> {
  const hostile = fc.oneof(
    odd,
    /* Copied, as a later hit may go into it. */
    fc
      .constantFrom<unknown>(
        ...wanted.flatMap((value) => (typeof value === 'string' ? [value, [value]] : [value])),
        ...[443, 0, -1, 65536, 1e9, 80.5, '80', Number.NaN, 2 ** 53],
        ...['', '169.254.169.254', '0.0.0.0', '224.0.0.1', '::1', 'fe80::1', 'fe80::1%eth0'],
        ...['10.0.0.0/8', 'x'.repeat(10_000), 'ns/canary', null, [], {}, [[[]]]],
      )
      .map((value) => structuredClone(value)),
  )
  return fc
    .tuple(
      fc.constantFrom('Service', 'Service', 'EndpointSlice', 'Node'),
      fc.tuple(mutated(service, hostile), mutated(slice, hostile), mutated(node, hostile)),
      fc.nat(30),
    )
    .map(([kind, [a, b, c], name]) => [
      kind,
      kind === 'Service' ? a : kind === 'Node' ? c : b,
      name,
    ])
}

/** Whether an object still has the name that all of its kind are made with. */
export function hasCommonName(name: unknown): boolean {
  return name === service.metadata.name || name === slice.metadata.name
}
