import { testRun } from '../../src/datapath/native-run.ts'
import { passThrough, type Outside } from './cast.ts'
import type { Node } from './harness.ts'
import { frame } from './packet.ts'
import { knowHop, wired } from './wired.ts'

/** What became of a packet: `pass` where others see it, `back` out of the device it came from. */
export interface Fate {
  readonly action: 'pass' | 'drop' | 'back'
  readonly data: Buffer
}

/** The five programs over one node's maps, with an established flow of the outside client. */
export interface Hostile {
  readonly node: Node
  readonly programs: Readonly<Record<string, (bytes: Buffer) => Fate>>
}

const actionsOfTc: Readonly<Record<number, Fate['action']>> = {
  0xffffffff: 'pass',
  2: 'drop',
  7: 'back',
}
const actionsOfXdp: Readonly<Record<number, Fate['action']>> = {
  1: 'drop',
  2: 'pass',
  3: 'back',
  4: 'back',
}

/** Loads them. */
export function programsOf(outside: Outside): Hostile {
  const { client, nodePort, backend, node: name } = outside
  const { node, programFd } = wired(outside)
  passThrough(node, frame({ from: client, to: nodePort, tcp: 'S' }))
  passThrough(node, frame({ from: backend, to: `${name}:50000`, tcp: 'SA' }))
  passThrough(node, frame({ from: client, to: nodePort, tcp: 'A' }))
  knowHop(node, [`${client} > ${nodePort}`, `${backend} > ${name}:50000`])
  const { ingress, egress, uplinkIngress, uplinkEgress } = node.programs
  return {
    node,
    programs: {
      'pod ingress': runnerOf(ingress, actionsOfTc),
      'pod egress': runnerOf(egress, actionsOfTc),
      'uplink ingress': runnerOf(uplinkIngress, actionsOfTc),
      'uplink egress': runnerOf(uplinkEgress, actionsOfTc),
      'uplink XDP': runnerOf(programFd, actionsOfXdp),
    },
  }
}

function runnerOf(
  programFd: number,
  actions: Readonly<Record<number, Fate['action']>>,
): (bytes: Buffer) => Fate {
  return (bytes) => {
    const { retval, data } = testRun({ programFd, data: bytes })
    const action = actions[retval]
    if (action === undefined) throw new Error(`the program returned ${retval}`)
    return { action, data }
  }
}
