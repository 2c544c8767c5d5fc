import '../native/own-namespace.ts'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { host, tcp, udp, v4, v6, type Cast } from './cast.ts'
import { datapath, type Node } from './harness.ts'
import { frame } from './packet.ts'
import { attach, becomeRouter, ip, linkOf, makePod, peerTask, type Pod } from './wire.ts'

/*
 * Real traffic between two pods: what a test run cannot make, above all packets whose checksum is
 * left to the device (CHECKSUM_PARTIAL) or was summed by it, and headers in page fragments.
 */

let node: Node
let client: Pod
let server: Pod
const folder = mkdtempSync(join(tmpdir(), 'kube-shunt-wire-'))

function empty(cast: Cast): string {
  return cast.family === 'IPv4' ? '10.96.0.99:80' : '[fd00:96::99]:80'
}

/** A VIP whose words sum up to what the backend's do: translation changes no checksum. */
function equalSum(cast: Cast): string {
  return cast.family === 'IPv4' ? '10.96.1.153:80' : '[fd00:245::5]:80'
}

function checksumComplaints(): number {
  const log = execFileSync('dmesg', { encoding: 'utf8' })
  return log.split('\n').filter((line) => line.includes('hw csum failure')).length
}

before(async () => {
  becomeRouter()
  client = await makePod('ksw-client', 0, '2')
  server = await makePod('ksw-server', 1, '5')
  node = datapath({
    services: Object.fromEntries(
      [v4, v6].flatMap((cast) => [
        [tcp(cast.vip), [cast.backend]],
        [udp(cast.vip), [cast.backend]],
        [tcp(equalSum(cast)), [cast.backend]],
        [udp(equalSum(cast)), [cast.backend]],
        [tcp(empty(cast)), []],
        [udp(empty(cast)), []],
      ]),
    ),
  })
  attach(node, client)
  attach(node, server)
  const { line } = await server.start(...peerTask('serve', '8080'))
  assert.equal(line, 'serving')
  execFileSync('cc', [
    '-O2',
    '-o',
    join(folder, 'send-paged'),
    `${import.meta.dirname}/send-paged.c`,
  ])
})
after(() => {
  rmSync(folder, { recursive: true })
  // The pods' processes end with this one.
  setImmediate(() => process.exit())
})

async function offload(pod: Pod, side: 'pod' | 'node', state: 'on' | 'off'): Promise<void> {
  const features = ['tx', 'tso', 'gso', 'gro'].flatMap((name) => [name, state])
  if (side === 'pod') await pod.run('ethtool', '-K', 'eth0', ...features)
  else execFileSync('ethtool', ['-K', pod.device, ...features], { stdio: 'ignore' })
}

const settings = ['on', 'off'] as const

for (const inPod of settings) {
  for (const onNode of settings) {
    describe(`with offloads ${inPod} in the pods and ${onNode} at the node`, () => {
      before(async () => {
        for (const pod of [client, server]) {
          await offload(pod, 'pod', inPod)
          await offload(pod, 'node', onNode)
        }
      })

      for (const cast of [v4, v6]) {
        const [vip, port] = [host(cast.vip), '80']

        test(`${cast.family}: bytes and datagrams come back unchanged through a VIP`, async () => {
          const before = checksumComplaints()
          node.counted()
          assert.equal(await client.run(...peerTask('ask', vip, port)), 'echoed')
          const counts = node.counted()
          assert.ok(counts.forward! > 20 && counts.reverse! > 20)
          assert.ok(counts.fragment_translated! > 0)
          assert.equal(checksumComplaints(), before)
        })

        test(`${cast.family}: and through one whose address has the backend’s sum`, async () => {
          const task = peerTask('ask', host(equalSum(cast)), port)
          assert.equal(await client.run(...task), 'echoed')
        })

        test(`${cast.family}: clients of nobody are refused at once`, async () => {
          const answer = await client.run(...peerTask('refused', host(empty(cast)), port))
          assert.equal(answer, 'TCP ECONNREFUSED, UDP ECONNREFUSED')
        })
      }
    })
  }
}

describe('packets whose headers lie in page fragments', () => {
  before(async () => {
    for (const pod of [client, server]) {
      ip(`link set ${pod.device} mtu 9000`)
      await pod.run('ip', 'link', 'set', 'eth0', 'mtu', '9000')
    }
  })

  for (const cast of [v4, v6]) {
    test(`${cast.family}: are translated`, async () => {
      const payload = randomBytes(6000)
      const { line, rest } = await server.start(...peerTask('listen', host(cast.backend), '8081'))
      assert.equal(line, 'listening')
      const vip = cast.vip.replace(/80$/, '8081')
      node.publish(udp(vip), [cast.backend.replace(/8080$/, '8081')])
      const path = join(folder, `frame-${cast.family}`)
      const bytes = frame({ from: cast.client, to: vip, udp: true, payload })
      Buffer.from(linkOf(client.device).address.replaceAll(':', ''), 'hex').copy(bytes, 0)
      writeFileSync(path, bytes)
      node.counted()
      await client.run(join(folder, 'send-paged'), 'eth0', path)
      const hash = createHash('sha256').update(payload).digest('hex')
      assert.equal(await rest, `listening\n6000 ${hash}`)
      assert.equal(node.counted().forward, 1)
    })
  }
})
