import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeFlow, isForward } from '../../src/cli/flow-table.ts'
import { flow, flowFlag, flowKey } from '../../src/datapath/abi.ts'

/** A half of a flow from outside, as the programs enter it. */
function half(flags: number): [key: Buffer, value: Buffer] {
  const key = Buffer.alloc(flowKey.size)
  const value = Buffer.alloc(flow.size)
  const client = { saddr: '192.0.2.9', sport: 50_000 }
  flowKey.format(key, { ...client, daddr: '172.18.0.2', dport: 30_080, proto: 6 })
  flow.format(value, {
    ...{ saddr: '172.18.0.2', sport: 1234, daddr: '10.244.1.5', dport: 8080 },
    ...{ last_seen: 7, frontend: 3, backend: 4, backend_generation: 1 },
    ...{ address_delta: 0, port_delta: 0, flags, dmac: [0, 0, 0, 0, 0, 0] },
  })
  return [key, value]
}

test('of the four entries of a flow from outside one is shown', () => {
  const { FLOW_SNAT, FLOW_REVERSE, FLOW_INNER } = flowFlag
  const flags = [0, FLOW_REVERSE, FLOW_INNER, FLOW_INNER | FLOW_REVERSE]
  const shown = flags.map((flag) => isForward(half(FLOW_SNAT | flag)[1]))
  assert.deepEqual(shown, [true, false, false, false])
})

test('a flow from outside tells whom its backend sees', () => {
  const { FLOW_SNAT, FLOW_DIRECT, FLOW_FROM_HOST } = flowFlag
  const seen = decodeFlow(...half(FLOW_SNAT | FLOW_DIRECT))
  assert.deepEqual(seen.seenAs, { address: '172.18.0.2', port: 1234 })
  assert.deepEqual([seen.xdp, seen.fromNode], [true, false])
  const own = decodeFlow(...half(FLOW_FROM_HOST))
  assert.deepEqual([own.seenAs, own.xdp, own.fromNode], [undefined, false, true])
})
