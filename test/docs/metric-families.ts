/** What becomes of a metric family of kube-proxy 1.36. */
export interface Family {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly labels: readonly string[]
  readonly fate: 'same' | 'on request' | 'not applicable'
  readonly why: string
}

type Row = readonly [name: string, labels: string, why?: string]

const goOnly = 'of the Go runtime or its client library'
const noIptables = 'no iptables rules are written'
const noNftables = 'no nftables rules are written'
const noListeners = 'localhost NodePorts need no listeners'
const watchesOnly = 'a few lists and watches and small Events are all there is; not measured'

function families(
  type: Family['type'],
  fate: Family['fate'],
  rows: readonly Row[],
): readonly Family[] {
  return rows.map(([name, labels, why = '']) => ({
    ...{ name, type, fate, why },
    labels: labels === '' ? [] : labels.split(' '),
  }))
}

const pass = 'kubeproxy_sync_proxy_rules'

/** Every family that kube-proxy 1.36 has in one of its modes, by name. */
export const metricFamilies: readonly Family[] = [
  ...families('histogram', 'same', [
    ['kubeproxy_network_programming_duration_seconds', 'ip_family'],
    ['kubeproxy_sync_full_proxy_rules_duration_seconds', 'ip_family', 'the first pass of an agent'],
    ['kubeproxy_sync_partial_proxy_rules_duration_seconds', 'ip_family', 'every other pass'],
    [`${pass}_duration_seconds`, 'ip_family', 'a pass serves both families, so both tell the same'],
    ['rest_client_request_duration_seconds', 'host verb'],
  ]),
  ...families('gauge', 'same', [
    [`${pass}_endpoint_changes_pending`, ''],
    [`${pass}_last_queued_timestamp_seconds`, 'ip_family'],
    [`${pass}_last_timestamp_seconds`, 'ip_family'],
    [`${pass}_no_local_endpoints_total`, 'ip_family traffic_policy'],
    [`${pass}_service_changes_pending`, ''],
    ['process_max_fds', ''],
    ['process_open_fds', ''],
    ['process_resident_memory_bytes', ''],
    ['process_start_time_seconds', ''],
    ['process_virtual_memory_bytes', ''],
    ['process_virtual_memory_max_bytes', ''],
  ]),
  ...families('counter', 'same', [
    ['kubeproxy_proxy_healthz_total', 'code'],
    ['kubeproxy_proxy_livez_total', 'code'],
    [`${pass}_endpoint_changes_total`, ''],
    [`${pass}_service_changes_total`, ''],
    ['process_cpu_seconds_total', ''],
    ['process_network_receive_bytes_total', ''],
    ['process_network_transmit_bytes_total', ''],
    ['rest_client_requests_total', 'code host method'],
  ]),
  ...families('gauge', 'on request', [
    [
      'kubernetes_build_info',
      'build_date compiler git_commit git_tree_state git_version go_version major minor platform',
      'with --version=vX.Y.Z, which it then tells; a version of our own would look like skew',
    ],
    ['kubernetes_feature_enabled', 'name stage', 'for the feature gates that are set'],
  ]),
  ...families('counter', 'not applicable', [
    ['aggregator_discovery_aggregation_count_total', '', 'of an API server'],
    ['aggregator_discovery_nopeer_requests_total', '', 'of an API server'],
    ['aggregator_discovery_peer_aggregated_cache_hits_total', '', 'of an API server'],
    ['aggregator_discovery_peer_aggregated_cache_misses_total', '', 'of an API server'],
    ['cardinality_enforcement_unexpected_categorizations_total', '', goOnly],
    ['disabled_metrics_total', '', 'no metric can be disabled'],
    ['hidden_metrics_total', '', 'no metric is hidden'],
    ['kubeproxy_conntrack_reconciler_deleted_entries_total', 'ip_family', "the host's conntrack is left alone"],
    ['kubeproxy_iptables_ct_state_invalid_dropped_packets_total', '', noIptables],
    ['kubeproxy_iptables_localhost_nodeports_accepted_packets_total', '', noIptables],
    [`${pass}_iptables_partial_restore_failures_total`, 'ip_family', noIptables],
    [`${pass}_iptables_restore_failures_total`, 'ip_family', noIptables],
    [`${pass}_nftables_cleanup_failures_total`, 'ip_family', noNftables],
    [`${pass}_nftables_sync_failures_total`, 'ip_family', noNftables],
    ['kubeproxy_nftables_localhost_nodeport_listener_creation_failures_total', '', noListeners],
    ['kubeproxy_nftables_localhost_nodeport_rejected_packets_total', 'protocol', noListeners],
    ['registered_metrics_total', 'deprecated_version stability_level', goOnly],
    ['rest_client_transport_cert_rotation_gc_calls_total', '', goOnly],
    ['rest_client_transport_create_calls_total', 'result', goOnly],
  ]),
  ...families('gauge', 'not applicable', [
    [`${pass}_iptables_last`, 'ip_family table', noIptables],
    [`${pass}_iptables_total`, 'ip_family table', noIptables],
    ['kubeproxy_nftables_localhost_nodeport_listeners', '', noListeners],
    ['rest_client_exec_plugin_ttl_seconds', '', 'no credential plugins'],
    ['rest_client_transport_cache_entries', '', goOnly],
  ]),
  ...families('histogram', 'not applicable', [
    ['kubeproxy_conntrack_reconciler_sync_duration_seconds', 'ip_family', "the host's conntrack is left alone"],
    ['rest_client_exec_plugin_certificate_rotation_age', '', 'no credential plugins'],
    ['rest_client_rate_limiter_duration_seconds', 'host verb', watchesOnly],
    ['rest_client_request_size_bytes', 'host verb', watchesOnly],
    ['rest_client_response_size_bytes', 'host verb', watchesOnly],
  ]),
].toSorted((a, b) => (a.name < b.name ? -1 : 1))
