import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { stateOf } from '../../src/cli/flow-table.ts'
import { parseEndpoint } from '../../src/cli/frontends.ts'
import { holderOf } from '../../src/cli/lock-holder.ts'
import { formatTable } from '../../src/cli/output.ts'
import { percent } from '../../src/cli/status-report.ts'
import { flowFlag } from '../../src/datapath/abi.ts'
import { ShuntError } from '../../src/errors.ts'
import { createLog } from '../../src/log.ts'

describe('holderOf', () => {
  const locks = [
    '1: POSIX  ADVISORY  WRITE 77 00:1c:900 0 EOF',
    '2: FLOCK  ADVISORY  READ 78 00:1c:900 0 EOF',
    '3: FLOCK  ADVISORY  WRITE 79 00:1d:900 0 EOF',
    '4: -> FLOCK  ADVISORY  WRITE 80 00:1c:900 0 EOF',
    '5: FLOCK  ADVISORY  WRITE 81 00:1c:900 0 EOF',
    '',
  ].join('\n')
  test('finds the holder of an exclusive flock on this device and inode', () => {
    assert.equal(holderOf(locks, 0x1c, 900), 81)
  })
  test('is nobody for another inode', () => {
    assert.equal(holderOf(locks, 0x1c, 901), undefined)
  })
})

describe('stateOf', () => {
  const { FLOW_REPLIED, FLOW_FIN_FORWARD, FLOW_FIN_REVERSE, FLOW_RESET_REVERSE } = flowFlag
  const cases: readonly (readonly [protocol: number, flags: number, state: string])[] = [
    [6, 0, 'opening'],
    [6, FLOW_REPLIED, 'established'],
    [6, FLOW_REPLIED | FLOW_FIN_REVERSE, 'closing'],
    [6, FLOW_REPLIED | FLOW_FIN_FORWARD | FLOW_FIN_REVERSE, 'closed'],
    [6, FLOW_REPLIED | FLOW_FIN_FORWARD | FLOW_RESET_REVERSE, 'reset'],
    [17, 0, 'unreplied'],
    [17, FLOW_REPLIED, 'replied'],
  ]
  for (const [protocol, flags, state] of cases) {
    test(`protocol ${protocol} with flags ${flags} is ${state}`, () => {
      assert.equal(stateOf(protocol, flags), state)
    })
  }
})

test('an endpoint filter is an address, with a port or without', () => {
  assert.deepEqual(parseEndpoint('10.0.0.1'), { address: '10.0.0.1', port: undefined })
  assert.deepEqual(parseEndpoint('10.0.0.1:80'), { address: '10.0.0.1', port: 80 })
  assert.deepEqual(parseEndpoint('FD00::0:1'), { address: 'fd00::1', port: undefined })
  assert.deepEqual(parseEndpoint('[fd00::1]:80'), { address: 'fd00::1', port: 80 })
  for (const bad of ['', 'web', '10.0.0.1:', '10.0.0.1:99999', '10.0.0.01:1']) {
    assert.equal(parseEndpoint(bad), undefined, bad)
  }
})

test('a table is as wide as its cells and has no blanks at line ends', () => {
  assert.equal(
    formatTable([
      ['A', 'LONGER'],
      ['bcd', 'e'],
    ]),
    'A    LONGER\nbcd  e\n',
  )
})

test('a little is more than nothing', () => {
  assert.deepEqual([percent(0, 10), percent(1, 1000), percent(8, 10)], ['0 %', '<1 %', '80 %'])
})

describe('createLog', () => {
  const written = (options: { format: 'json' | 'pretty'; verbosity: number }): string[] => {
    const lines: string[] = []
    const log = createLog({ ...options, write: (line) => lines.push(line) })
    log.debug({ service: 'a/b' }, 'frontend published')
    log.warn({ err: new ShuntError('KSH_API', 'list services: refused'), count: 2 }, 'list failed')
    return lines
  }

  test('writes klog keys as JSON, and debug only when asked', () => {
    const lines = written({ format: 'json', verbosity: 0 })
    assert.equal(lines.length, 1)
    const { ts, ...rest } = JSON.parse(lines[0]!) as Record<string, unknown>
    assert.equal(typeof ts, 'number')
    assert.deepEqual(rest, {
      level: 'warn',
      v: 0,
      err: 'list services: refused',
      code: 'KSH_API',
      count: 2,
      msg: 'list failed',
    })
    assert.equal(written({ format: 'json', verbosity: 1 }).length, 2)
  })

  test('writes lines that readers of klog take apart', () => {
    const [debug, warn] = written({ format: 'pretty', verbosity: 1 })
    const reader = /^(\w)(\d{4} \S*)\s+(\d+)\s+([^ \]]+)\] (.*)$/
    for (const line of [debug!, warn!]) assert.match(line.trimEnd(), reader)
    assert.match(
      debug!,
      /^I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ kube-shunt:1\] "frontend published" service="a\/b"\n$/,
    )
    assert.match(warn!, /^W.*\] "list failed" err="list services: refused" count=2\n$/)
  })

  test('tells where an unexpected error was made, in both formats', () => {
    for (const format of ['json', 'pretty'] as const) {
      const lines: string[] = []
      const log = createLog({ format, verbosity: 0, write: (line) => lines.push(line) })
      log.error({ err: new TypeError('no such thing') }, 'pass failed')
      assert.match(lines[0]!, /"?err"?[:=]"no such thing"/)
      assert.match(lines[0]!, /"?stack"?[:=]"TypeError: no such thing\\n .*cli\.test\.ts/)
      assert.equal(lines[0]!.indexOf('\n'), lines[0]!.length - 1, 'one line')
    }
  })
})
