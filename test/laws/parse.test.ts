import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseEndpointSlice } from '../../src/kube/parse-endpointslice.ts'
import { parseNode } from '../../src/kube/parse-node.ts'
import { parseService } from '../../src/kube/parse-service.ts'
import { canonicalAddress } from '../../src/model/address.ts'
import type { Parsed, Refusal } from '../../src/model/types.ts'
import { mutated, node, service, slice } from './mutate.ts'

const runs = { numRuns: Number(process.env['LAW_RUNS'] ?? 400) * 5 }

function checkRefusals(parsed: Parsed<unknown>): void {
  const refusals: readonly Refusal[] = parsed.kind === 'ignored' ? [] : parsed.refusals
  for (const { field, value, reason } of refusals) {
    const line = `${field} ${value} ${reason}`
    assert.ok(line.length < 1000, line)
    assert.match(line, /^[\x20-\x7e]*$/)
  }
  assert.match(parsed.name, /^[-_./A-Za-z0-9]*$/)
}

function checkAddresses(addresses: readonly string[]): void {
  for (const address of addresses) assert.equal(canonicalAddress(address), address)
}

function checkPort(port: number): void {
  assert.ok(Number.isInteger(port) && port >= 1 && port <= 65535, `port ${port}`)
}

describe('parsers', () => {
  it('parseService() never throws and lets nothing odd through', () => {
    fc.assert(
      fc.property(mutated(service), (raw) => {
        const parsed = parseService(raw)
        checkRefusals(parsed)
        if (parsed.kind !== 'parsed') return
        const { clusterIPs, externalIPs, loadBalancerIPs, ports } = parsed.value
        checkAddresses([...clusterIPs, ...externalIPs, ...loadBalancerIPs])
        for (const { port, nodePort } of ports) {
          checkPort(port)
          if (nodePort !== 0) checkPort(nodePort)
        }
        assert.equal(new Set(ports.map((port) => port.name)).size, ports.length)
      }),
      runs,
    )
  })

  it('parseEndpointSlice() never throws and lets nothing odd through', () => {
    fc.assert(
      fc.property(mutated(slice), (raw) => {
        const parsed = parseEndpointSlice(raw)
        checkRefusals(parsed)
        if (parsed.kind !== 'parsed') return
        checkAddresses(parsed.value.endpoints.map((endpoint) => endpoint.address))
        for (const { port } of parsed.value.ports) checkPort(port)
      }),
      runs,
    )
  })

  it('parseNode() never throws and lets nothing odd through', () => {
    fc.assert(
      fc.property(mutated(node), (raw) => {
        const parsed = parseNode(raw)
        checkRefusals(parsed)
        if (parsed.kind === 'parsed') checkAddresses(parsed.value.addresses)
      }),
      runs,
    )
  })
})
