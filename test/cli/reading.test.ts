import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { makePinnedRoot, type PinnedRoot } from './pinned-root.ts'
import { dns, fillRoot, here, leaving, six, there, web } from './sample.ts'
import { shunt } from './shunt.ts'

let root: PinnedRoot

before(() => {
  root = makePinnedRoot()
  fillRoot(root)
})
after(() => root.remove())

async function read(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await shunt([...args, '--bpffs', root.path])
  assert.equal(stderr, '')
  assert.equal(status, 0)
  return stdout
}

describe('what is pinned can be read without an agent', () => {
  test('dump has the shape operators rely on', async () => {
    const dump = JSON.parse(await read('dump', '-o', 'json')) as unknown
    const at = (slot: typeof here) => ({
      address: slot.address,
      port: slot.port,
      local: slot.local,
    })
    assert.deepEqual(dump, {
      frontends: [
        {
          ...web,
          kind: 'NodePort',
          service: 'default/web',
          portName: '',
          backends: [at(six)],
          localOnly: true,
          sourceRanges: ['fd00::/8'],
          generation: 4,
        },
        {
          ...dns,
          kind: 'ClusterIP',
          service: 'kube-system/kube-dns',
          portName: 'dns',
          backends: [at(here), at(there)],
          draining: [at(leaving)],
          affinitySeconds: 60,
          generation: 3,
        },
      ],
      flows: { count: 3, halfOpen: 1, max: 1024 },
      generation: 7,
    })
  })

  test('services shows each frontend above its backends, draining ones with weight 0', async () => {
    const lines = (await read('services')).split('\n')
    const row = lines.findIndex((line) =>
      /^UDP +10\.96\.0\.10:53 +ClusterIP +kube-system/.test(line),
    )
    assert.match(lines[row + 1]!, /^ {2}-> +10\.244\.1\.5:5353 +1 +1 +0 +local$/)
    assert.match(lines[row + 2]!, /^ {2}-> +10\.244\.2\.7:5353 +1 +0 +0 +remote$/)
    assert.match(lines[row + 3]!, /^ {2}-> +10\.244\.3\.9:5353 +0 +0 +0 +remote$/)
    assert.match(lines.join('\n'), /^TCP +\[fd00::10\]:80 .*\n {2}-> +\[fd01::5\]:8080 +1 +1 +2 /m)
  })

  test('services can be one Service, wide, or JSON', async () => {
    const one = await read('services', '--service', 'kube-system/kube-dns:dns', '-o', 'wide')
    assert.doesNotMatch(one, /default\/web/)
    assert.match(one, /affinity=60s/)
    assert.match(await read('services', '-o', 'wide'), /local-only,source-ranges=fd00::\/8 /)
    const list = JSON.parse(await read('services', '-o', 'json')) as { flows: unknown }[]
    assert.deepEqual(list[0]!.flows, [{ backend: '[fd01::5]:8080', active: 1, inactive: 2 }])
  })

  test('flows lists each flow once, with its state', async () => {
    const flows = await read('flows', '-o', 'wide')
    assert.match(
      flows,
      /^UDP +10\.244\.1\.99:4000 +10\.96\.0\.10:53 +10\.244\.1\.5:5353 +replied /m,
    )
    assert.match(flows, /^4 flows: 1 opening|^4 flows: /m)
    assert.equal(flows.match(/^(TCP|UDP) /gm)?.length, 4)
    assert.match(flows, /kube-system\/kube-dns:dns$/m)
  })

  const filters: readonly (readonly [args: string[], total: number])[] = [
    [['--state', 'closing'], 1],
    [['--state', 'opening'], 1],
    [['--service', 'default/web'], 3],
    [['--service', 'default/we'], 0],
    [['--client', '10.244.1.99:4000'], 1],
    [['--client', '[fd01::99]:4002'], 1],
    [['--client', 'fd01::99'], 3],
    [['--backend', '10.244.1.5'], 1],
    [['--backend', '10.244.1.5:1'], 0],
  ]
  for (const [args, total] of filters) {
    test(`flows ${args.join(' ')} finds ${total}`, async () => {
      const found = JSON.parse(await read('flows', '-o', 'json', ...args)) as Record<
        string,
        unknown
      >
      assert.equal(found['total'], total)
      assert.equal((found['flows'] as unknown[]).length, total)
    })
  }

  test('flows --count gives numbers alone', async () => {
    assert.match(
      await read('flows', '--count', '--client', '10.244.1.99'),
      /^1 flows: 1 replied\n$/,
    )
  })
})
