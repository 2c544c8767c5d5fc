// Writes docs/kube-proxy-compatibility.md.
import { writeFileSync } from 'node:fs'
import { fieldAt, fieldPaths } from '../../src/proxy-config/fields.ts'
import type { Fate } from '../../src/proxy-config/field.ts'
import { fateText, proxyFlags } from '../../src/proxy-config/flags.ts'
import { fieldText } from '../../src/proxy-config/flagz.ts'
import { completeFile } from '../../src/proxy-config/complete.ts'
import { metricFamilies } from './metric-families.ts'

/** The page as it is to be. */
export function compatibilityPage(): string {
  return [
    intro,
    '## Configuration file\n',
    fileText,
    table(['Field', 'Default', '', 'What it does here'], fieldRows()),
    '## Flags\n',
    flagText,
    table(['Flag', 'Field', '', 'What it does here'], flagRows()),
    '## Ports\n',
    table(['Where', 'Path', 'What'], portRows),
    '## Metrics\n',
    metricText,
    table(['Family', 'Type', 'Labels', '', ''], metricRows()),
    '## Logs\n',
    logText,
    table(['Line', 'When'], logRows),
    '## Events\n',
    eventText,
    table(['Reason', 'About', 'Type', 'When'], eventRows),
  ].join('\n')
}

const intro = `# kube-proxy compatibility

What becomes of kube-proxy's configuration, flags, ports, metrics and Events, compared with kube-proxy
1.36. Printed by \`test/docs/kube-proxy-compatibility.ts\` from the tables the agent itself uses.

The command \`kube-proxy --config=... --hostname-override=...\` of kubeadm's DaemonSet runs unchanged:
flags without a command mean \`kube-shunt run\`, under any name.
`

const fileText = `\`KubeProxyConfiguration\` of \`kubeproxy.config.k8s.io/v1alpha1\`, YAML or JSON. Unknown and
duplicate fields are reported once and left out; a value of a wrong type or out of range ends the
agent with exit status 2 and kube-proxy's message. A changed file ends the agent with exit status 1,
so that it starts again with the new one; the datapath stays. Each setting that was given a value
other than its default and has no effect is reported once at the start.

Without a file, kube-shunt's own defaults hold where they differ (idle time of flows, log format,
oom score); with a file, kube-proxy's defaults are part of what it says.
`

const flagText = `With \`--config\`, all of these but \`--hostname-override\`, \`--master\`, the logging flags and
those without a field are ignored, as in kube-proxy; kube-shunt's own flags count. Boolean flags need no value,
underscores may stand for dashes.
`

const metricText = `Families under kube-proxy's names have its types, labels and buckets. kube-shunt's own are
called \`kubeshunt_*\`.
`

const eventText = `\`events.k8s.io/v1\` with reportingController \`kube-proxy\`, repetitions as a series, at most
\`clientConnection.qps\` a second. None with \`--cluster-file\`.
`

const kinds: Readonly<Record<Fate['kind'], string>> = {
  honoured: 'honoured',
  pending: 'no effect yet',
  ignored: 'ignored',
  inapplicable: 'not applicable',
}

function fieldRows(): string[][] {
  const defaults = completeFile({})
  return fieldPaths.map((path) => {
    const { fate } = fieldAt(path)
    return [code(path), code(fieldText(defaults, path)), kinds[fate.kind], reason(fate)]
  })
}

function flagRows(): string[][] {
  return proxyFlags.map(({ name, path, fate, isDeprecated }) => [
    code(name === 'v' ? '-v, --v' : `--${name}`),
    path === undefined ? '' : code(path),
    kinds[fate.kind] + (isDeprecated ? ' (deprecated)' : ''),
    path === undefined ? reason(fate) : '',
  ])
}

function reason(fate: Fate): string {
  const text = fateText(fate)
  return text.replace(/^accepted and ignored: /, '').replace(/ \(no effect yet\)$/, '')
}

function metricRows(): string[][] {
  return metricFamilies.map(({ name, type, labels, fate, why }) => [
    code(name),
    type,
    labels.map(code).join(' '),
    fate,
    why,
  ])
}

const portRows = [
  [
    '10256, all addresses',
    '`/healthz`',
    'body, headers and status of 1.36; a change that waits for twice syncPeriod, or passes that ' +
      'fail that long, make it 503, the first pass included (there kube-proxy stays 200)',
  ],
  ['', '`/livez`', 'the same without the fate of the node'],
  ['10249, 127.0.0.1', '`/metrics`, `/metrics/slis`', 'see below'],
  ['', '`/healthz`', '`ok`'],
  ['', '`/proxyMode`', '`kube-shunt`'],
  ['', '`/configz`', 'the configuration in force; field names as in the file'],
  ['', '`/statusz`, `/flagz`', 'plain text'],
  ['', '`/debug/pprof`, `/debug/flags/v`', 'not applicable: they are of Go programs'],
  ['healthCheckNodePort', 'any', 'body, headers and status of 1.36'],
]

const logText = `\`logging.format: text\` writes lines as klog does (letter, time, pid, \`file:line]\`, quoted
message, \`key="value"\`), without a source file: all come from \`kube-shunt:1\`. \`json\` has klog's keys
\`ts\` (milliseconds), \`v\`, \`msg\` and \`err\`, and \`level\`. Flags and settings without effect are one line
each at the start. These lines are worded as kube-proxy's:
`

const logRows = [
  ['`"Version info"`', 'the agent begins; the version is that of kube-shunt'],
  ['`"Using kube-shunt Proxier"`', 'where kube-proxy names its mode'],
  ['`"Kube-proxy configuration may be incomplete or incorrect"`', 'nodePortAddresses is unset'],
  ['`"Using lenient decoding as strict decoding failed"`', 'the file has unknown or double fields'],
  ['`"Successfully retrieved NodeIPs"`', 'the Node is known, and when its addresses change'],
  ['`"Failed to apply OOMScore"`', 'from `-v=1`'],
  ['`"SyncProxyRules complete"`', 'the first pass reached the maps; with `-v=1` each one that wrote'],
]

const eventRows = [
  ['`Starting`', 'Node', 'Normal', 'the agent serves'],
  ['`FailedToStartProxierHealthcheck`', 'Node', 'Warning', 'no 10256, with bindAddressHardFail'],
  ['`FailedToStartMetricServer`', 'Node', 'Warning', 'no 10249, with bindAddressHardFail'],
  ['`FailedToStartServiceHealthcheck`', 'Service', 'Warning', 'its health-check node port is taken'],
  ['`NotServedAsWritten`', 'Service, EndpointSlice', 'Warning', 'ours: a piece of it is refused'],
  ['`AddressTaken`', 'Service', 'Warning', 'ours: an older Service has the address and port'],
  ['`TableFull`, `TooManyEndpoints`', 'Service', 'Warning', 'ours: there is no room for it'],
]

function code(text: string): string {
  return text === '' ? '' : `\`${text}\``
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const rule = head.map(() => '---')
  return [line(head), line(rule), ...rows.map(line), ''].join('\n')
}

if (import.meta.main) {
  const path = new URL('../../docs/kube-proxy-compatibility.md', import.meta.url)
  writeFileSync(path, compatibilityPage())
}
