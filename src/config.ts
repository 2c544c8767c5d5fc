/** Everything `kube-shunt run` can be told, after parsing and validation. */
export type Config = {
  readonly bpffs: string
  readonly cgroup: string | undefined
  /** Where Services and EndpointSlices come from. */
  readonly source:
    | { readonly kind: 'cluster-file'; readonly path: string }
    | { readonly kind: 'api'; readonly kubeconfig: string | undefined; readonly master: string | undefined }
  readonly nodeName: string
  readonly socketLb: 'off'
  readonly forwarding: 'stack'
  readonly xdp: 'off'
  /** Globs; empty means detected. */
  readonly devices: readonly string[]
  readonly podDevices: readonly string[]
  readonly flowTableEntries: number
  readonly halfOpenEntries: number
  readonly frontendsMax: number
  readonly backendsMax: number
  /** Seconds after the first start during which unknown mid-flow TCP is left to the host stack. */
  readonly midflowGraceSeconds: number
  readonly healthz: BindAddress | undefined
  readonly metrics: BindAddress | undefined
  readonly logFormat: 'json' | 'pretty'
  /** klog-like: 0 info, 1 and up debug. */
  readonly verbosity: number
}

export type BindAddress = { readonly host: string; readonly port: number }
