import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { shunt } from './shunt.ts'

let directory: string
let file: string

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'ksc-'))
  file = join(directory, 'cluster.yaml')
  writeFileSync(file, '[]\n')
})
after(() => rmSync(directory, { recursive: true }))

/** Arguments (FILE and DIRECTORY stand for real paths) and what the one line must say. */
const refusals: readonly (readonly [args: string, says: RegExp])[] = [
  ['', /a command is needed/],
  ['stauts', /unknown command or argument stauts/],
  ['run extra --cluster-file FILE', /unknown command or argument extra/],
  ['run --cluster-file FILE --frobnicate=1', /unknown flag --frobnicate/],
  ['run --cluster-file FILE --no-xdp', /unknown flag --no-xdp/],
  ['run --cluster-file FILE --socketLb off', /unknown flag --socketLb/],
  ['run --cluster-file', /--cluster-file: a value is needed/],
  ['run --config=/nonexistent/kp.yaml', /--config: cannot read \/nonexistent\/kp.yaml/],
  ['--config=/nonexistent/kp.yaml', /--config: cannot read \/nonexistent\/kp.yaml/],
  ['run --cluster-file FILE --masquerade-all stray', /unknown command or argument stray/],
  ['run --cluster-file FILE --masquerade-all=maybe', /--masquerade-all: "maybe" .*true or false/],
  ['run --cluster-file FILE --oom-score-adj=-2000', /--oom-score-adj: .*\[-1000, 1000\]/],
  ['run', /no source of Services.*--cluster-file, --kubeconfig or --master/],
  ['run --cluster-file FILE --kubeconfig FILE', /--cluster-file and --kubeconfig.*not both/],
  ['run --cluster-file FILE --master https:\/\/a', /--cluster-file and --master.*not both/],
  ['run --cluster-file /nonexistent/x', /--cluster-file: cannot read \/nonexistent\/x/],
  ['run --kubeconfig /nonexistent/x', /--kubeconfig: cannot read \/nonexistent\/x/],
  ['run --cluster-file DIRECTORY', /--cluster-file: .*this is a directory/],
  ['run --master ftp://x', /--master: "ftp:\/\/x" .*https:\/\/HOST:PORT/],
  ['run --cluster-file FILE --xdp=fast', /--xdp: "fast" .*auto/],
  ['run --cluster-file FILE --socket-lb=tcp', /--socket-lb: "tcp" .*not supported yet, use off/],
  ['run --cluster-file FILE --forwarding fast', /--forwarding: "fast" .*use stack/],
  ['run --cluster-file FILE --bpffs here', /--bpffs: "here" .*absolute path/],
  ['run --cluster-file FILE --cgroup DIRECTORY', /--cgroup: .*not in a cgroup v2 mount/],
  ['run --cluster-file FILE --cgroup /nonexistent', /--cgroup: .*existing directory/],
  ['run --cluster-file FILE --devices eth/0', /--devices: "eth\/0" .*globs/],
  ['run --cluster-file FILE --pod-devices=', /--pod-devices: "" .*value is needed/],
  ['run --cluster-file FILE --flow-table-entries=12', /--flow-table-entries: "12" .*1024 to/],
  ['run --cluster-file FILE --flow-table-entries=1e6', /--flow-table-entries: "1e6" .*whole/],
  ['run --cluster-file FILE --frontends-max=-1', /--frontends-max: "-1" .*64 to/],
  ['run --cluster-file FILE --backends-max=99999999', /--backends-max: .*to 16777216/],
  ['run --cluster-file FILE --midflow-grace=30', /--midflow-grace: "30" .*30m/],
  ['run --cluster-file FILE --midflow-grace=25h', /--midflow-grace: "25h" .*24h/],
  ['run --cluster-file FILE --external-ip-cidrs 10.0.0.0/33', /--external-ip-cidrs: .*ranges/],
  ['run --cluster-file FILE --snat-ports 5-1', /--snat-ports: "5-1" .*LOW-HIGH/],
  ['run --cluster-file FILE --healthz-bind-address x:1', /--healthz-bind-address: "x:1"/],
  ['run --cluster-file FILE --metrics-bind-address ::1:1:x', /--metrics-bind-address: "::1:1:x"/],
  ['run --cluster-file FILE --log-format text', /--log-format: "text" .*json or pretty/],
  ['run --cluster-file FILE -v=loud', /-v: "loud" .*use a whole number/],
  ['run --cluster-file FILE --hostname-override a/b', /--hostname-override: "a\/b"/],
  ['dump -o yaml', /Choices: "json"/],
  ['flows --client nobody', /--client: "nobody" .*ADDRESS/],
  ['flows --state old', /--state: "old" .*opening or established/],
  ['cleanup --bpffs relative', /--bpffs: "relative" .*absolute/],
]

describe('a command line that cannot be meant', { concurrency: 2 }, () => {
  for (const [line, says] of refusals) {
    test(`"${line}" is refused with exit status 2 and one line that says why`, async () => {
      const args = line.split(' ').filter((word) => word !== '')
      const real = args.map((arg) => ({ FILE: file, DIRECTORY: directory })[arg] ?? arg)
      const { status, stdout, stderr } = await shunt(real)
      assert.match(stderr, says)
      assert.match(stderr, /^kube-shunt: [^\n]+\n$/)
      assert.equal(stdout, '')
      assert.equal(status, 2)
    })
  }
})

describe('the ordinary', () => {
  test('help and version go to standard output', async () => {
    const help = await shunt(['--help'])
    for (const command of ['run', 'status', 'services', 'flows', 'dump', 'doctor', 'cleanup']) {
      assert.match(help.stdout, new RegExp(`^  kube-shunt ${command} `, 'm'))
    }
    assert.ok(help.stdout.split('\n').every((text) => text.length <= 80))
    assert.match((await shunt(['--version'])).stdout, /^kube-shunt \d+\.\d+\.\d+\n$/)
  })

  test('messages do not depend on the language of the terminal', async () => {
    const { stderr } = await shunt(['run', '--nope'], {
      LANG: 'de_DE.UTF-8',
      LC_ALL: 'de_DE.UTF-8',
    })
    assert.equal(stderr, 'kube-shunt: unknown flag --nope; see kube-shunt --help\n')
  })

  test('completion prints a script for the shell, and completes commands and flags', async () => {
    const script = await shunt(['completion'])
    assert.match(script.stdout, /complete .*kube-shunt/)
    const words = await shunt(['--get-yargs-completions', 'kube-shunt', 'st'], {
      SHELL: '/bin/bash',
    })
    assert.match(words.stdout, /^status$/m)
  })

  test('a root that nothing is pinned at is a failure that names it', async () => {
    const { status, stderr } = await shunt(['dump', '--bpffs', '/sys/fs/bpf/ksc-no-such-root'])
    assert.match(stderr, /nothing of kube-shunt is pinned at \/sys\/fs\/bpf\/ksc-no-such-root/)
    assert.equal(status, 1)
  })
})
