import { northSouth, outside4, passThrough } from '../../test/datapath/cast.ts'
import type { Node } from '../../test/datapath/harness.ts'
import { frame } from '../../test/datapath/packet.ts'
import type { Counts } from '../../test/datapath/tables.ts'
import { knowHop, wired } from '../../test/datapath/wired.ts'
import type { Turner, Turning } from './turner.ts'
import { afterTick, counted, type Workload } from './workload.ts'

const repeat = 100_000
/* turn() writes the lower half of the sender's address and its port: those of flow 0. */
const cast = { ...outside4, client: '192.1.0.0:1024', backend: '10.244.0.0:1024' }
const { client, nodePort, backend } = cast
const asClient = `${cast.node}:1024`
const request = frame({ from: client, to: nodePort, tcp: 'A' })
const reply = frame({ from: backend, to: asClient, tcp: 'A' })

/** A connection from outside to a backend on another node, by tc's two steps and by XDP. */
export function uplinkWorkloads(turner: Turner): Workload[] {
  const node = northSouth(cast)
  connect(node)
  const { uplinkIngress, uplinkEgress } = node.programs
  const stepped = frame({ from: client, to: backend, tcp: 'A' })
  const row = (what: string, about: Pick<Turning, 'programFd' | 'frame'>, counts: Counts) =>
    workload(turner, { name: `established, TCP v4, ${what}`, node, about, counts })
  return [
    row('from outside, first step', { programFd: uplinkIngress, frame: request }, { forward: 1 }),
    row('from outside, second step', { programFd: uplinkEgress, frame: stepped }, {}),
    row(
      'back from the node, first step',
      { programFd: uplinkIngress, frame: reply },
      { reverse: 1 },
    ),
    ...xdpWorkloads(turner),
  ]
}

function connect(node: Node): void {
  passThrough(node, frame({ from: client, to: nodePort, tcp: 'S' }))
  passThrough(node, frame({ from: backend, to: asClient, tcp: 'SA' }))
  passThrough(node, request)
}

function xdpWorkloads(turner: Turner): Workload[] {
  const { node, programFd } = wired(cast)
  connect(node)
  const empty = { programFd: turner.emptyXdp, kind: 'xdp', frame: request, flows: 1 } as const
  const forward = { name: 'XDP, established, TCP v4, from outside', frame: request }
  const back = { name: 'XDP, established, TCP v4, back from the node', frame: reply }
  const row = (
    { name, frame }: typeof forward,
    counter: 'xdp_forward' | 'xdp_reverse',
  ): Workload => ({
    ...{ name, flows: 1, floor: 'turned empty XDP' },
    measure: () =>
      afterTick(() => {
        knowHop(node, [`${client} > ${nodePort}`, `${backend} > ${asClient}`])
        const about = { programFd, kind: 'xdp', frame, flows: 1, repeat } as const
        return counted(node, { [counter]: repeat }, () => turner.run(about))
      }),
  })
  return [
    {
      ...{ name: 'turned empty XDP', flows: 1, floor: 'turned empty XDP' },
      measure: () => turner.run({ ...empty, repeat }),
    },
    row(forward, 'xdp_forward'),
    row(back, 'xdp_reverse'),
  ]
}

interface Stepping {
  readonly name: string
  readonly node: Node
  readonly about: Pick<Turning, 'programFd' | 'frame'>
  readonly counts: Counts
}

function workload(turner: Turner, { name, node, about, counts }: Stepping): Workload {
  const expected = Object.fromEntries(Object.keys(counts).map((counter) => [counter, repeat]))
  const run = (): number => turner.run({ ...about, flows: 1, repeat })
  return {
    ...{ name, flows: 1, floor: 'turned empty' },
    measure: () => afterTick(() => counted(node, expected, run)),
  }
}
