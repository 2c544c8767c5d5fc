import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { hostPort } from '../cluster/addressing.ts'
import { pingPong, startDial, type PingPong } from '../cluster/traffic.ts'
import type { Agent, ClusterNode } from '../cluster/types.ts'
import { eventually, podPort, startAgent, untilServed, type Serving } from '../e2e/serving.ts'
import { readNodeState } from '../e2e/node-state.ts'

/** Starts an agent that waits where another owns the root. */
export function startStandby(node: ClusterNode, readyFile: string): Promise<Agent> {
  rmSync(readyFile, { force: true })
  const flags = ['--if-owned=wait', `--ready-file=${readyFile}`]
  return node.startAgent({ flags, waitReady: false })
}

/**
 * Replaces the agent of node 1 this many times as a DaemonSet with surge does: the new one is
 * started, and only when it says that it could start, the old one is ended. Established flows and
 * new connections must not notice.
 */
export async function handOvers(serving: Serving, cycles: number): Promise<void> {
  const { node1 } = serving
  const client = serving.pod(1, 'c')
  let agent = await startAgent(node1)
  await untilServed(client, serving.vip(1, 'IPv6'))
  const before = await readNodeState(node1)
  const direct = await pingPong(client, hostPort(serving.pod(1, 'b').addresses.IPv4, podPort), 10)
  const tcp = await pingPong(client, serving.vip(1), 30)
  const udp = await pingPong(client, serving.vip(1, 'IPv6'), 10, { udp: true })
  const dialling = startDial(client, serving.vip(1), { rate: 50 })
  for (let cycle = 0; cycle < cycles; cycle++) {
    const file = join(serving.cluster.directory, `ready${cycle % 2}`)
    const next = await startStandby(node1, file)
    await eventually(() => assert.equal(readFileSync(file, 'utf8'), 'waiting\n'), 20_000)
    await agent.stop(cycle % 2 === 0 ? 'SIGTERM' : 'SIGKILL')
    await eventually(() => assert.equal(readFileSync(file, 'utf8'), 'started\n'), 20_000)
    await next.ready()
    agent = next
  }
  await Promise.all([untilAsked(tcp, 90), untilAsked(udp, 30)])
  const ends = await Promise.all([direct.stop(), tcp.stop(), udp.stop(), dialling.stop()])
  await agent.stop()
  const [machine, pings, datagrams, dialled] = ends
  /* What pods that talk without a VIP had to wait is the machine's doing. */
  const limit = machine.maxGapMs > 200 ? 2 * machine.maxGapMs : 200
  for (const { open, resets, closed, timeouts, switched, maxGapMs } of [pings, datagrams]) {
    assert.deepEqual([resets, closed, timeouts, switched], [0, 0, 0, 0])
    assert.ok(open > 0 && maxGapMs <= limit, `${open} open, longest gap ${maxGapMs} ms`)
  }
  assert.deepEqual(dialled.failed, {})
  assert.ok(dialled.longestSilenceMs <= limit, `no answer for ${dialled.longestSilenceMs} ms`)
  assert.deepEqual(await readNodeState(node1), before)
}

/** Waits until flows were answered so many times from now on: what was done to them has shown. */
export async function untilAsked(flows: PingPong, times: number): Promise<void> {
  const last = flows.latest()?.seconds ?? 0
  const { pings } = await flows.until(({ seconds }) => seconds > last)
  await flows.until((report) => report.pings >= pings + times, 20_000)
}
