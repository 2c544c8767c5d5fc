import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostPort } from '../cluster/addressing.ts'
import { holdCrowd } from '../cluster/load.ts'
import { podSlices, service } from '../cluster/objects.ts'
import { startEchoServer } from '../cluster/traffic.ts'
import { besiege, tablesOf } from '../e2e/flooded.ts'
import { untilServed } from '../e2e/serving.ts'

/* A process may hold 20 000 files: several share the work. */
const servers = { port: 9090, workers: 4 }
const nodePort = 30_090

for (const xdp of [false, true])
  test(`fifty thousand connections of one client to one endpoint elsewhere, XDP ${xdp}`, async (t) => {
    const besieged = await besiege(xdp, ['--flow-table-entries=524288'])
    const { serving, client } = besieged
    const { cluster, node1, node2 } = serving
    t.after(() => cluster.close())
    const pod = node2.pod('a')
    await startEchoServer(pod, [servers.port], { workers: servers.workers })
    const ports = [{ name: 'tcp', port: 80, targetPort: servers.port, nodePort }]
    cluster.objects.put(
      service({ name: 'many', type: 'NodePort', ports, clusterIps: [cluster.clusterIp(9)] }),
      ...podSlices({ service: 'many', ports }, [pod]),
    )
    const target = hostPort(node1.addresses.IPv4, nodePort)
    await untilServed(client, target)
    const crowd = await holdCrowd(client, target, 50_000, { rate: 5_000, timeoutMs: 30_000 })
    const { answered, open, failed, seconds } = crowd.opened
    t.diagnostic(`${answered} answered after ${seconds} s`)
    t.diagnostic(await tablesOf(besieged))
    assert.deepEqual({ answered, open, failed }, { answered: 50_000, open: 50_000, failed: {} })
    assert.equal((await crowd.check()).checked, 50_000)
    await crowd.stop()
  })
