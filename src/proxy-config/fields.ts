import * as make from './field.ts'
import type { Field } from './field.ts'
import { honoured, ignored, inapplicable, pending } from './field.ts'

const noMark = ignored('no netfilter mark is used')
const noIpvs = ignored('there is no IPVS here and no kube-ipvs0 device')
const windows = inapplicable('Windows only')
const oneStream = ignored('every line goes to standard error at once')
const syncPeriod = honoured(
  'of the active mode: a change that waits twice this long makes /healthz fail',
)
const minSyncPeriod = honoured(
  'of the active mode, unless it is the default: the least time between passes',
)

/** Every field of KubeProxyConfiguration v1alpha1 by its path, in the order of its documentation. */
export const fields = {
  featureGates: make.gates(
    new Map(),
    honoured('AllowServiceExternalIPs allows all externalIPs; there is nothing else to switch'),
    { flag: 'feature-gates', omitsEmpty: true },
  ),
  'clientConnection.kubeconfig': make.text('', honoured('how the API server is reached'), {
    flag: 'kubeconfig',
  }),
  'clientConnection.acceptContentTypes': make.text('', ignored('answers are read as JSON')),
  'clientConnection.contentType': make.text(
    'application/vnd.kubernetes.protobuf',
    ignored('requests are sent as JSON'),
    { flag: 'kube-api-content-type' },
  ),
  'clientConnection.qps': make.number(5, honoured('Events written per second'), {
    flag: 'kube-api-qps',
  }),
  'clientConnection.burst': make.integer(10, honoured('Events written at once'), {
    flag: 'kube-api-burst',
  }),
  'logging.format': make.text(
    'text',
    honoured('text: lines as klog writes them; json: one object per line'),
    { flag: 'logging-format' },
  ),
  'logging.flushFrequency': make.looseDuration(5, oneStream, { flag: 'log-flush-frequency' }),
  'logging.verbosity': make.integer(0, honoured('0 info, 1 debug, 4 trace'), { flag: 'v' }),
  'logging.vmodule': make.vmodule([], ignored('levels are not kept by source file'), {
    flag: 'vmodule',
    omitsEmpty: true,
  }),
  'logging.options.text.splitStream': make.boolean(false, oneStream, {
    flag: 'log-text-split-stream',
    omitsEmpty: true,
  }),
  'logging.options.text.infoBufferSize': make.quantity('0', oneStream, {
    flag: 'log-text-info-buffer-size',
  }),
  'logging.options.json.splitStream': make.boolean(false, oneStream, {
    flag: 'log-json-split-stream',
    omitsEmpty: true,
  }),
  'logging.options.json.infoBufferSize': make.quantity('0', oneStream, {
    flag: 'log-json-info-buffer-size',
  }),
  hostnameOverride: make.text('', honoured('the name of this node'), {
    flag: 'hostname-override',
  }),
  bindAddress: make.text(
    '0.0.0.0',
    honoured(
      "a hint only, as in kube-proxy, nothing is bound to it: the node's primary address of its " +
        'family, before those of the Node; an IPv6 address moves the default addresses of both ' +
        'servers to IPv6',
    ),
    { flag: 'bind-address' },
  ),
  healthzBindAddress: make.text('', honoured('/healthz and /livez'), {
    flag: 'healthz-bind-address',
  }),
  metricsBindAddress: make.text('', honoured('/metrics and its neighbours'), {
    flag: 'metrics-bind-address',
  }),
  bindAddressHardFail: make.boolean(
    false,
    honoured('the agent ends when one of its servers cannot bind'),
    { flag: 'bind-address-hard-fail' },
  ),
  enableProfiling: make.boolean(false, ignored('/debug/pprof profiles Go programs'), {
    flag: 'profiling',
  }),
  showHiddenMetricsForVersion: make.text('', ignored('no metric is hidden'), {
    flag: 'show-hidden-metrics-for-version',
  }),
  mode: make.text(
    'iptables',
    honoured(
      'chooses the section whose periods and masqueradeAll count; iptables and ipvs make NodePorts ' +
        'answer on all local addresses while nodePortAddresses is unset; packets are translated ' +
        'by eBPF in every mode, and /proxyMode says kube-shunt',
    ),
    { flag: 'proxy-mode' },
  ),
  'iptables.masqueradeBit': make.integer(14, noMark, {
    flag: 'iptables-masquerade-bit',
    isNullable: true,
  }),
  'iptables.masqueradeAll': make.boolean(false, pending('SNAT of all Service traffic'), {
    flag: 'masquerade-all',
  }),
  'iptables.localhostNodePorts': make.boolean(true, pending('NodePorts on loopback addresses'), {
    flag: 'iptables-localhost-nodeports',
    isNullable: true,
  }),
  'iptables.snatNodeInternalIP': make.boolean(false, pending('SNAT from the InternalIP'), {
    isNullable: true,
    omitsEmpty: true,
  }),
  'iptables.syncPeriod': make.duration(30, syncPeriod, { flag: 'iptables-sync-period' }),
  'iptables.minSyncPeriod': make.duration(1, minSyncPeriod, { flag: 'iptables-min-sync-period' }),
  'ipvs.syncPeriod': make.duration(30, syncPeriod, { flag: 'ipvs-sync-period' }),
  'ipvs.minSyncPeriod': make.duration(0, minSyncPeriod, { flag: 'ipvs-min-sync-period' }),
  'ipvs.scheduler': make.text('', ignored('a backend is chosen by a hash of the flow'), {
    flag: 'ipvs-scheduler',
  }),
  'ipvs.excludeCIDRs': make.list([], noIpvs, { flag: 'ipvs-exclude-cidrs' }),
  'ipvs.strictARP': make.boolean(false, noIpvs, { flag: 'ipvs-strict-arp' }),
  'ipvs.tcpTimeout': make.duration(0, noIpvs, { flag: 'ipvs-tcp-timeout' }),
  'ipvs.tcpFinTimeout': make.duration(0, noIpvs, { flag: 'ipvs-tcpfin-timeout' }),
  'ipvs.udpTimeout': make.duration(0, noIpvs, { flag: 'ipvs-udp-timeout' }),
  'nftables.masqueradeBit': make.integer(14, noMark, { isNullable: true }),
  'nftables.masqueradeAll': make.boolean(false, pending('SNAT of all Service traffic')),
  'nftables.syncPeriod': make.duration(30, syncPeriod),
  'nftables.minSyncPeriod': make.duration(1, minSyncPeriod),
  'winkernel.networkName': make.text('', windows),
  'winkernel.sourceVip': make.text('', windows),
  'winkernel.enableDSR': make.boolean(false, windows),
  'winkernel.rootHnsEndpointName': make.text('', windows),
  'winkernel.forwardHealthCheckVip': make.boolean(false, windows),
  detectLocalMode: make.text('ClusterCIDR', pending('which traffic counts as coming from pods'), {
    flag: 'detect-local-mode',
  }),
  'detectLocal.bridgeInterface': make.text('', pending('see detectLocalMode'), {
    flag: 'pod-bridge-interface',
  }),
  'detectLocal.interfaceNamePrefix': make.text('', pending('see detectLocalMode'), {
    flag: 'pod-interface-name-prefix',
  }),
  clusterCIDR: make.text(
    '',
    honoured(
      'addresses of pods, which no Service may take over; has no effect on which traffic counts ' +
        'as coming from pods',
    ),
    { flag: 'cluster-cidr' },
  ),
  nodePortAddresses: make.list(
    [],
    honoured(
      'where NodePorts are to answer, and where health-check node ports listen (unset: everywhere); ' +
        'addresses that come and go on interfaces are followed',
    ),
    { flag: 'nodeport-addresses' },
  ),
  oomScoreAdj: make.integer(-999, honoured('where the agent may write its own score'), {
    flag: 'oom-score-adj',
    isNullable: true,
  }),
  'conntrack.maxPerCore': make.integer(
    32_768,
    ignored("the host's conntrack is left alone; see --flow-table-entries"),
    { flag: 'conntrack-max-per-core', isNullable: true },
  ),
  'conntrack.min': make.integer(
    131_072,
    ignored("the host's conntrack is left alone; see --flow-table-entries"),
    { flag: 'conntrack-min', isNullable: true },
  ),
  'conntrack.tcpEstablishedTimeout': make.duration(
    24 * 3600,
    honoured('how long an idle TCP flow is kept; 0: 2h15m'),
    { flag: 'conntrack-tcp-timeout-established', isNullable: true },
  ),
  'conntrack.tcpCloseWaitTimeout': make.duration(
    3600,
    honoured('how long a half-closed TCP flow is kept; 0: 1h'),
    { flag: 'conntrack-tcp-timeout-close-wait', isNullable: true },
  ),
  'conntrack.tcpBeLiberal': make.boolean(
    false,
    ignored('translation does not depend on TCP windows'),
    { flag: 'conntrack-tcp-be-liberal' },
  ),
  'conntrack.udpTimeout': make.duration(
    0,
    honoured('how long a UDP flow without a reply is kept; 0: 30s'),
    { flag: 'conntrack-udp-timeout' },
  ),
  'conntrack.udpStreamTimeout': make.duration(
    0,
    honoured('how long a UDP flow with replies is kept; 0: 3m'),
    { flag: 'conntrack-udp-timeout-stream' },
  ),
  configSyncPeriod: make.duration(
    15 * 60,
    ignored('every change is watched, nothing is read again periodically'),
    { flag: 'config-sync-period' },
  ),
  portRange: make.text('', ignored('kube-proxy does not use it either')),
  windowsRunAsService: make.boolean(false, windows, { omitsEmpty: true }),
} as const

export type FieldPath = keyof typeof fields

/** A value for every field. */
export type ProxyValues = {
  readonly [Path in FieldPath]: (typeof fields)[Path] extends Field<infer Value> ? Value : never
}

/** The fields that a file or flags set. */
export type GivenValues = Partial<ProxyValues>

/** Every path in the order of the table. */
export const fieldPaths = Object.keys(fields) as readonly FieldPath[] // its own keys

/** A field by its path, with its value's type forgotten. */
export function fieldAt(path: FieldPath): Field<unknown> {
  return fields[path]
}
