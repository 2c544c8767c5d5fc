import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import type { AddressInfo } from 'node:net'
import { createCluster } from '../cluster/cluster.ts'

test('an exposed port carries every connection, and leaves no process behind', async () => {
  await using cluster = await createCluster({ profile: 'ptp', nodes: 1 })
  const server = createServer((_request, response) => response.end('here'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const authority = await cluster.exposeOnLan((server.address() as AddressInfo).port)
    const ask = ['curl', '--silent', '--max-time', '2', `http://${authority}/`]
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => cluster.nodes[0]!.exec(ask, { mayFail: true })),
    )
    assert.deepEqual([...new Set(answers.map(({ stdout }) => stdout))], ['here'])
  } finally {
    server.close()
  }
  const { stdout } = await cluster.lan.exec(['ss', '--listening', '--tcp', '--processes', '-H'])
  assert.equal(stdout.match(/pid=/g)?.length ?? 0, 1, stdout) // this process
})

test('an agent that outlives its cluster is ended without an error', async () => {
  const cluster = await createCluster({ profile: 'ptp', nodes: 1 })
  const agent = await cluster.nodes[0]!.startAgent()
  await cluster.close()
  assert.equal((await agent.exited).signal, 'SIGKILL')
})
