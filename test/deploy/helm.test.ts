import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { renderTemplate } from './helm-template.ts'
import { violations, type Schema } from './json-schema.ts'
import { overlays, parseManifests, rendered, type Manifest } from './manifests.ts'

const chart = fileURLToPath(new URL('../../deploy/helm/kube-shunt/', import.meta.url))
const read = (name: string): string => readFileSync(join(chart, name), 'utf8')

type Values = Readonly<Record<string, unknown>>
const defaults = parse(read('values.yaml')) as Values
const schema = JSON.parse(read('values.schema.json')) as Schema

for (const overlay of overlays) {
  test(`the chart with examples/${overlay}.yaml is the overlay ${overlay}`, () => {
    const values = { ...defaults, ...(parse(read(`examples/${overlay}.yaml`)) as Values) }
    assert.deepEqual(violations(schema, values), [])
    assert.deepEqual(byName(installed(values)), byName(rendered(overlay)))
  })

  test(`helm itself renders examples/${overlay}.yaml to the same`, (t) => {
    const file = join(chart, 'examples', `${overlay}.yaml`)
    const { status, stdout, stderr, error } = spawnSync('helm', [
      ...['template', 'kube-shunt', chart, '--namespace', 'kube-system', '--values', file],
    ])
    if (error !== undefined) return t.skip('helm is not installed')
    assert.equal(status, 0, stderr.toString())
    assert.deepEqual(byName(parseManifests(stdout.toString())), byName(rendered(overlay)))
  })
}

test('the values that change something do', () => {
  const values = {
    ...defaults,
    apiServer: { host: '192.0.2.10', port: '6443' },
    image: { repository: 'registry.example:5000/kube-shunt', tag: 'v1', pullPolicy: 'Always' },
    imagePullSecrets: [{ name: 'pull' }],
    config: { mode: 'ipvs' },
    nodePortAddresses: ['192.0.2.0/24'],
    extraArgs: ['--pod-devices=cali*'],
    tolerations: [],
  }
  assert.deepEqual(violations(schema, values), [])
  const objects = installed(values)
  const config = objects.find(({ kind }) => kind === 'ConfigMap')!.data!
  assert.deepEqual([config['apiServerHost'], config['apiServerPort']], ['192.0.2.10', '6443'])
  const { mode, nodePortAddresses, kind } = parse(config['config.conf']!) as Values
  assert.deepEqual(
    [kind, mode, nodePortAddresses],
    [...['KubeProxyConfiguration', 'ipvs', ['192.0.2.0/24']]],
  )
  const text = JSON.stringify(objects.find((one) => one.kind === 'DaemonSet'))
  assert.match(text, /"image":"registry\.example:5000\/kube-shunt:v1","imagePullPolicy":"Always"/)
  assert.match(text, /"imagePullSecrets":\[\{"name":"pull"\}\]/)
  assert.match(text, /"--ready-file=[^"]+","--pod-devices=cali\*"\]/)
  assert.doesNotMatch(text, /tolerations/)
})

const wrong: readonly (readonly [values: Values, complaint: RegExp])[] = [
  [{ imagee: {} }, /^\.imagee: unknown$/],
  [{ name: 'Kube Shunt' }, /^\.name: does not match/],
  [{ healthzPort: 70000 }, /^\.healthzPort: out of range$/],
  [{ healthzPort: '10256' }, /^\.healthzPort: string, not integer$/],
  [{ image: { repository: 'kube-shunt:1' } }, /^\.image\.repository: does not match/],
  [{ image: {} }, /^\.image\.repository: missing$/],
  [{ extraArgs: ['-v'] }, /^\.extraArgs\[0\]: does not match/],
  [{ metricsAddress: 'everywhere' }, /^\.metricsAddress: does not match/],
  [{ logFormat: 'xml' }, /^\.logFormat: not one of json, text$/],
]
for (const [values, complaint] of wrong) {
  test(`the schema refuses ${JSON.stringify(values)}`, () => {
    const [first, ...more] = violations(schema, { ...defaults, ...values })
    assert.match(first ?? '', complaint)
    assert.deepEqual(more, [])
  })
}

test('every value has a place in the schema, and every template is read by these tests', () => {
  assert.deepEqual(
    Object.keys(defaults).filter((name) => !(name in schema.properties!)),
    [],
  )
  const { version } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as { version: string }
  const about = parse(read('Chart.yaml')) as { version: string; appVersion: string }
  assert.deepEqual([about.version, about.appVersion], [version, version])
})

/** The objects that an installation with these values makes. */
function installed(values: Values): Manifest[] {
  const about = parse(read('Chart.yaml')) as { appVersion: string }
  const data = {
    Values: values,
    Chart: { AppVersion: about.appVersion },
    Release: { Namespace: 'kube-system' },
  }
  const texts = readdirSync(join(chart, 'templates')).map((name) => {
    const text = renderTemplate(read(join('templates', name)), { data, file: read })
    return { name, text }
  })
  assert.match(texts.find(({ name }) => name === 'NOTES.txt')!.text, /exec ds\/kube-shunt/)
  return texts
    .filter(({ name }) => name.endsWith('.yaml'))
    .flatMap(({ text }) => parseManifests(text))
}

/* A configuration is compared by what it says, not by how it is laid out. */
function byName(objects: readonly Manifest[]): Map<string, unknown> {
  const sorted = objects.toSorted((a, b) => a.kind.localeCompare(b.kind))
  return new Map(
    sorted.map((one) => {
      const text = one.data?.['config.conf']
      const data = { ...one.data, 'config.conf': text && (parse(text) as unknown) }
      return [`${one.kind} ${one.metadata.name}`, one.data === undefined ? one : { ...one, data }]
    }),
  )
}
