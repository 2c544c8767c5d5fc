import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ask, casts, host, tcp, udp, type Cast } from './cast.ts'
import { datapath, type Node, type Outcome } from './harness.ts'
import { frame, icmpError, ipOf } from './packet.ts'

/** A pod that is the backend of the VIP it dials. */
function selfish(cast: Cast): Cast {
  const port = cast.client.slice(cast.client.lastIndexOf(':'))
  return { ...cast, client: cast.backend.replace(/:8080$/, port) }
}

function end(address: string, port: number | string): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

for (const base of casts) {
  const cast = selfish(base)
  const { family, client, vip, otherVip, backend, hairpin } = cast
  const loop = end(hairpin, 40000)
  const start = (): Node =>
    datapath({
      services: { [tcp(vip)]: [backend], [udp(vip)]: [backend], [udp(otherVip)]: [backend] },
    })
  const assertSentBack = (out: Outcome, text: string): void => {
    assert.equal(out.text, `redirect: ${text}`)
    assert.equal(out.frame.toString('hex', 0, 12), '020000000002020000000001')
  }

  describe(`${family}: a pod that reaches itself through its Service`, () => {
    for (const [name, there, back] of [
      ['TCP', { tcp: 'S' }, { tcp: 'SA' }],
      ['UDP', { udp: true }, { udp: true }],
    ] as const) {
      const flags = name === 'TCP' ? [' [S]', ' [SA]'] : ['', '']
      test(`gets its own ${name} packet from the hairpin address, and its answer from the VIP`, () => {
        const node = start()
        assertSentBack(node.fromPod(ask(cast, there)), `${name} ${loop} > ${backend}${flags[0]}`)
        const answered = node.fromPod(frame({ from: backend, to: loop, ...back }))
        assertSentBack(answered, `${name} ${vip} > ${client}${flags[1]}`)
        assert.deepEqual(node.counted(), {
          forward: 1,
          reverse: 1,
          flow_created: 1,
          ...(name === 'UDP' && { flow_promoted: 1 }),
          hairpin: 2,
        })
      })
    }

    test('has both halves at ingress; the packets it gets are not touched again', () => {
      const node = start()
      const there = node.fromPod(ask(cast))
      assert.equal(node.toPod(there.frame).text, 'next: untouched')
      const back = node.fromPod(frame({ from: backend, to: loop, tcp: 'SA' }))
      assert.equal(node.toPod(back.frame).text, 'next: untouched')
      node.fromPod(ask(cast, { tcp: 'A' }))
      assert.deepEqual(
        node.tables.lines(),
        [
          `flows: TCP ${client} > ${vip} = ${loop} > ${backend} [hairpin replied]`,
          `flows: TCP ${backend} > ${loop} = ${vip} > ${client} [reverse hairpin replied]`,
        ].sort(),
      )
    })

    test('keeps its connection when either half is lost', () => {
      const node = start()
      node.fromPod(ask(cast))
      node.fromPod(frame({ from: backend, to: loop, tcp: 'SA' }))
      node.fromPod(ask(cast, { tcp: 'A' }))
      const before = node.tables.lines()
      node.tables.forget(`${client} > ${vip}`)
      node.tables.age(1)
      node.fromPod(frame({ from: backend, to: loop, tcp: 'A' }))
      assert.deepEqual(node.tables.lines(), before)
      node.tables.forget(`${backend} > ${loop}`)
      node.tables.age(1)
      node.fromPod(ask(cast, { tcp: 'A' }))
      assert.deepEqual(node.tables.lines(), before)
    })

    test('through two VIPs from one port keeps the two apart', () => {
      const node = start()
      node.fromPod(ask(cast, { udp: true }))
      const second = node.fromPod(ask({ ...cast, vip: otherVip }, { udp: true })).text
      const source = /UDP (\S+) > /.exec(second)![1]!
      assert.notEqual(source, loop)
      const answers = [loop, source].map(
        (to) => node.fromPod(frame({ from: backend, to, udp: true })).text,
      )
      assert.deepEqual(answers, [
        `redirect: UDP ${vip} > ${client}`,
        `redirect: UDP ${otherVip} > ${client}`,
      ])
    })

    test('gets port unreachable from itself about the VIP', () => {
      const node = start()
      const there = node.fromPod(ask(cast, { udp: true }))
      const error = icmpError({
        from: host(backend),
        to: hairpin,
        type: family === 'IPv4' ? 3 : 1,
        code: family === 'IPv4' ? 3 : 4,
        about: ipOf(there.frame),
        quoted: 60,
      })
      const kind = family === 'IPv4' ? '3/3' : '1/4'
      assertSentBack(
        node.fromPod(error),
        `ICMP ${bare(vip)} > ${bare(client)} ${kind} about (UDP ${client} > ${vip})`,
      )
      assert.equal(node.counted().icmp_translated, 1)
    })

    test('as client tells itself as server that its port is closed', () => {
      const node = start()
      node.fromPod(ask(cast, { udp: true }))
      const back = node.fromPod(frame({ from: backend, to: loop, udp: true }))
      const error = icmpError({
        from: host(client),
        to: host(vip),
        type: family === 'IPv4' ? 3 : 1,
        code: family === 'IPv4' ? 3 : 4,
        about: ipOf(back.frame),
        quoted: 60,
      })
      const kind = family === 'IPv4' ? '3/3' : '1/4'
      assertSentBack(
        node.fromPod(error),
        `ICMP ${bare(loop)} > ${bare(backend)} ${kind} about (UDP ${backend} > ${loop})`,
      )
    })

    test('that is one of several backends reaches the others without hairpin', () => {
      const node = datapath({ services: { [tcp(vip)]: [backend, ...cast.others] } })
      const verdicts = new Map<string, Set<string>>()
      for (let port = 41000; port < 41100; port++) {
        const out = node.fromPod(frame({ from: end(host(client), port), to: vip, tcp: 'S' }))
        const [, source, target] = /TCP (\S+) > (\S+)/.exec(out.text)!
        const seen = verdicts.get(target!) ?? new Set()
        verdicts.set(target!, seen.add(`${out.verdict} ${host(source!)}`))
      }
      assert.deepEqual([...verdicts.get(backend)!], [`redirect ${hairpin}`])
      for (const other of cast.others) {
        assert.deepEqual([...verdicts.get(other)!], [`next ${host(client)}`])
      }
    })
  })
}

/** An end as descriptions of ICMP have it: without port, IPv6 in brackets. */
function bare(text: string): string {
  return text.slice(0, text.lastIndexOf(':'))
}
