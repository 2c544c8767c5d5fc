/** A process that owns a cluster, for tests that end it: `node owner.ts wait|throw|exit`. */
import { createCluster } from '../cluster/cluster.ts'
import { startEchoServer } from '../cluster/traffic.ts'

const mode = process.argv[2] ?? 'wait'
const cluster = await createCluster({ profile: 'bridge', podsPerNode: 2, uplinks: 2, xdp: true })
const far = await cluster.addFarClient('far')
const machines = [far, far.router, await cluster.addOutsideClient('outside2', { lan: 2 })]
const places = [...cluster.pods, ...machines]
const servers = await Promise.all(
  places.map((place) => startEchoServer(place, [8080], { workers: 2 })),
)
const pids = servers.map((server) => server.process.pid)
console.log(JSON.stringify({ id: cluster.id, pids }))
if (mode === 'throw') throw new Error('as asked')
if (mode === 'exit') process.exit(3)
setInterval(() => undefined, 60_000)
