import assert from 'node:assert/strict'
import { closeSync, existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { apply } from '../../src/datapath/apply.ts'
import { lockPath } from '../../src/datapath/native-system.ts'
import { frontendKey } from '../../src/model/types.ts'
import type { MapOp } from '../../src/plan/image.ts'
import { makePinnedRoot, type PinnedRoot } from './pinned-root.ts'
import { dns, fillRoot } from './sample.ts'
import { shunt } from './shunt.ts'

let root: PinnedRoot

before(() => {
  root = makePinnedRoot()
  fillRoot(root)
})
after(() => root.remove())

interface Status {
  readonly isHealthy: boolean
  readonly problems: readonly string[]
  readonly agent: { readonly holder?: { readonly pid: number } }
  readonly maps: readonly { readonly map: string; readonly entries: number; readonly max: number }[]
  readonly counters: Readonly<Record<string, number>>
}

async function status(...args: string[]): Promise<{ exit: number; report: Status }> {
  const { status, stdout } = await shunt(['status', '-o', 'json', '--bpffs', root.path, ...args])
  return { exit: status, report: JSON.parse(stdout) as Status }
}

/** Serves one status for as long as `use` takes; what it gets is the flag for it. */
async function withHealthz(code: number, use: (flag: string) => Promise<void>): Promise<void> {
  const server = createServer((_request, response) => response.writeHead(code).end('{}'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  try {
    await use(`--healthz-bind-address=127.0.0.1:${port}`)
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

describe('status', () => {
  test('without an agent it is not healthy and says so, and still tells what is there', async () => {
    await withHealthz(200, async (flag) => {
      const refused = flag.replace(/\d+$/, '9')
      const { exit, report } = await status(refused)
      assert.equal(exit, 1)
      assert.match(report.problems.join(), /no agent is running/)
      assert.ok((report.counters['drop_malformed'] ?? 0) >= 3)
      assert.deepEqual(
        report.maps.find(({ map }) => map === 'flows'),
        { map: 'flows', entries: 4, max: 1024 },
      )
    })
  })

  test('with the lock held and healthz at 200 it is healthy and names the process', async () => {
    const lock = lockPath(root.path)
    assert.ok(lock !== undefined)
    try {
      await withHealthz(200, async (flag) => {
        const { exit, report } = await status(flag)
        assert.deepEqual(report.problems, [])
        assert.equal(report.agent.holder?.pid, process.pid)
        assert.equal(exit, 0)
      })
    } finally {
      closeSync(lock)
    }
  })

  test('an agent that answers 503 is not healthy', async () => {
    await withHealthz(503, async (flag) => {
      const { exit, report } = await status(flag)
      assert.match(report.problems.join(), /healthz gives 503/)
      assert.equal(exit, 1)
    })
  })

  test('a map at 80 % is a warning on the screen', async () => {
    const full = makePinnedRoot()
    try {
      const keys = Array.from({ length: 52 }, (_, i): MapOp => {
        return { kind: 'key', key: frontendKey(dns.address, i + 1, dns.protocol), index: 1 }
      })
      apply(keys, full.maps)
      const { stdout } = await shunt(['status', '--bpffs', full.path])
      assert.match(stdout, /warning: map frontends is 81 % full \(52\/64\)/)
      assert.ok(stdout.split('\n').every((line) => line.length <= 80))
      assert.ok(!stdout.includes('\u001b'))
    } finally {
      full.remove()
    }
  })
})

describe('cleanup', () => {
  test('refuses while an agent holds the lock and names it, unless forced', async () => {
    const owned = makePinnedRoot()
    const lock = lockPath(owned.path)
    try {
      const refused = await shunt(['cleanup', '--bpffs', owned.path])
      assert.equal(refused.status, 4)
      assert.match(refused.stderr, new RegExp(`process ${process.pid} .*--force`))
      assert.ok(existsSync(`${owned.path}/v1/maps/frontends`))
      const forced = await shunt(['cleanup', '--force', '--bpffs', owned.path])
      assert.equal(forced.status, 0, forced.stderr)
      assert.ok(!existsSync(owned.path))
    } finally {
      if (lock !== undefined) closeSync(lock)
      owned.remove()
    }
  })

  test('leaves nothing, and may be repeated', async () => {
    const gone = makePinnedRoot()
    try {
      const first = await shunt(['cleanup', '--bpffs', gone.path])
      assert.match(first.stdout, /10 maps unpinned/)
      assert.ok(!existsSync(gone.path))
      const again = await shunt(['cleanup', '--bpffs', gone.path])
      assert.match(again.stdout, /nothing to remove/)
      assert.deepEqual([first.status, again.status], [0, 0])
    } finally {
      gone.remove()
    }
  })

  test('refuses a directory that is on no bpf file system', async () => {
    const { status: exit, stderr } = await shunt(['cleanup', '--bpffs', '/tmp'])
    assert.match(stderr, /not on a bpf file system/)
    assert.equal(exit, 2)
  })
})

describe('doctor', () => {
  test('gives a verdict per feature and says whether kube-shunt can run', async () => {
    const { status: exit, stdout } = await shunt(['doctor', '-o', 'json'])
    const { isFit, findings } = JSON.parse(stdout) as {
      isFit: boolean
      findings: { verdict: string; feature: string }[]
    }
    assert.equal(exit, isFit ? 0 : 3)
    const features = findings.map(({ feature }) => feature)
    for (const feature of ['privileges', 'bpf file system', 'tc programs', 'kube-proxy']) {
      assert.ok(features.includes(feature), feature)
    }
  })

  test('a root outside a bpf file system is missing something required', async () => {
    const { status: exit, stdout } = await shunt(['doctor', '--bpffs', '/tmp/ksc-x'])
    assert.match(stdout, /^missing +bpf file system/m)
    assert.equal(exit, 3)
  })
})
