import type { ClusterFile } from './cluster-file.ts'

export type Family = 'IPv4' | 'IPv6'

/** How pods are wired: bridge = bridge CNI, ptp = Calico's routed veths, vxlan = Flannel overlay. */
export type Profile = 'bridge' | 'ptp' | 'vxlan'

/** One address per family; '' for a family the cluster was not built with. */
export type Addresses = Readonly<Record<Family, string>>

export interface ClusterOptions {
  readonly profile: Profile
  /** How many nodes; default 2. */
  readonly nodes?: number
  /** Default both. */
  readonly families?: readonly Family[]
  /** Pods made at once on each node, named a, b, c ...; default 0. */
  readonly podsPerNode?: number
  /** Reverse path filter of nodes; default 'off'. */
  readonly rpFilter?: 'off' | 'strict' | 'loose'
  /** A FORWARD chain that drops conntrack's invalid packets, as kube-proxy and many CNIs have. */
  readonly firewall?: boolean
  /**
   * Masquerade pod traffic that leaves the cluster, as CNIs do (stack conntrack on the nodes).
   * Without it the outside cannot answer pods, nor nodes answer other nodes' overlay pods under a
   * strict reverse path filter.
   */
  readonly masquerade?: boolean
  /** Let bridged packets pass the nodes' iptables (net.bridge.bridge-nf-call-*). */
  readonly bridgeNetfilter?: boolean
  /** 'off' makes every sender compute its checksums; default 'on', as veth has it. */
  readonly checksumOffload?: 'on' | 'off'
  /** How large packets of the LANs are, and what pods get from that; default 1500. */
  readonly mtu?: number
  /**
   * Native XDP on the nodes' uplinks can transmit, redirect, and finds checksums computed and
   * segments cut, as from a wire.
   */
  readonly xdp?: boolean
  /** 2: each node has eth1 on a second LAN, `lan2`, with a router of its own; default 1. */
  readonly uplinks?: 1 | 2
  /** What a node sends from its address on eth1 leaves by eth1, whatever the destination. */
  readonly policyRouting?: boolean
  /** 'loopback': the node's own address is on lo, behind those of its uplinks. */
  readonly nodeAddress?: 'uplink' | 'loopback'
}

export interface Output {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A process started in a place. */
export interface Running {
  readonly pid: number
  /** Everything it wrote so far. */
  stdout(): string
  stderr(): string
  hasEnded(): boolean
  /** Settles when the process has ended and its output is read; never rejects. */
  readonly exited: Promise<Output>
  /** Calls back for each line of standard output, earlier lines included. */
  onLine(listener: (line: string) => void): void
  /** The first line of output that the predicate accepts; rejects if the process ends before it. */
  waitForLine(accept: (line: string) => boolean, milliseconds?: number): Promise<string>
  /** Sends the signal (default SIGTERM) and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<Output>
}

export interface ExecOptions {
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  /** Killed with SIGKILL after this; default 30 000. */
  readonly timeoutMs?: number
  /** Return the output of a command that fails, instead of throwing. */
  readonly mayFail?: boolean
}

/** Somewhere commands run: a network namespace and a cgroup below the node's own. */
export interface Place {
  readonly name: string
  /** Name below /run/netns. */
  readonly netns: string
  readonly addresses: Addresses
  exec(command: readonly string[], options?: ExecOptions): Promise<Output>
  spawn(command: readonly string[], options?: { env?: Readonly<Record<string, string>> }): Running
}

export interface Pod extends Place {
  readonly node: ClusterNode
  /** The host end of the pod's veth, in the node's namespace. */
  readonly hostDevice: string
  /** Gives the pod `count` more addresses of each family, reachable from every pod. */
  addAddresses(count: number): Promise<readonly Addresses[]>
}

/** A device of a node on a LAN. */
export interface Uplink {
  readonly device: string
  readonly addresses: Addresses
}

export interface ClusterNode extends Place {
  readonly pods: readonly Pod[]
  readonly podCidrs: Addresses
  /** Its uplink, `eth0`. */
  readonly uplink: string
  /** All of them, `eth0` first. */
  readonly uplinks: readonly Uplink[]
  /** Pin root of this node's agent. */
  readonly bpffs: string
  /** cgroup v2 directory that holds the processes of this node and its pods. */
  readonly cgroup: string
  pod(name: string): Pod
  addPod(name: string): Promise<Pod>
  addPods(names: readonly string[]): Promise<readonly Pod[]>
  removePod(pod: Pod): Promise<void>
  startAgent(options?: AgentOptions): Promise<Agent>
  /** Runs `kube-shunt ARGS --bpffs <this node's>` here. */
  shunt(args: readonly string[], options?: ExecOptions): Promise<Output>
}

export interface AgentOptions {
  /** Where objects come from; default: the cluster's own file. */
  readonly source?: { readonly clusterFile: string } | { readonly kubeconfig: string }
  /** More flags of `kube-shunt run`; the last one of a name wins. */
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Wait until it is ready(); default true. */
  readonly waitReady?: boolean
  /** Default 20 000. */
  readonly readyTimeoutMs?: number
}

export interface Agent {
  readonly pid: number
  readonly exited: Promise<Output>
  /** Everything the agent logged. */
  log(): string
  /** Resolves when /healthz answers 200 and it says it has started; rejects with the log if the agent ends or time is over. */
  ready(): Promise<void>
  /** An HTTP GET from inside the node: `path` on 10256, or a whole URL. */
  get(path: string): Promise<{ readonly status: number; readonly body: string }>
  stop(signal?: NodeJS.Signals): Promise<Output>
  /** Stops (default SIGTERM) and starts again with the same options. */
  restart(signal?: NodeJS.Signals): Promise<Agent>
}

/** How a client outside the cluster gets to VIPs. */
export interface VipRoutes {
  /** Sends these addresses or CIDRs by this node; those that went by another node move at once. */
  routeVia(node: ClusterNode, cidrs: readonly string[]): Promise<void>
  /** Takes these routes away. */
  unroute(cidrs: readonly string[]): Promise<void>
}

/** A machine on a LAN of the nodes that knows its own subnet and what routeVia() tells it. */
export interface OutsideClient extends Place, VipRoutes {}

/**
 * A machine two routers away: the LAN's and `router`, with a link of a small MTU between them.
 * Its VIP routes are the LAN's router's.
 */
export interface FarClient extends Place, VipRoutes {
  readonly router: Place
}

export interface Cluster {
  readonly id: string
  readonly profile: Profile
  readonly families: readonly Family[]
  readonly nodes: readonly ClusterNode[]
  /** All pods of all nodes. */
  readonly pods: readonly Pod[]
  /** The LAN between the nodes: a bridge and the router every default route points to. */
  readonly lan: Place
  /** A directory of this cluster for any files; removed by close(). */
  readonly directory: string
  /** Objects that agents started without a `source` read. */
  readonly objects: ClusterFile
  /** The n-th address (from 1) of the Service range, 10.96.0.0/16 and fd00:10:96::/112. */
  clusterIp(n: number, family?: Family): string
  /** Where Services have their cluster addresses from. */
  readonly serviceCidrs: Addresses
  /** A machine on the LAN that is no part of the cluster; the LAN's router is its default route. */
  addMachine(name: string): Promise<Place>
  /** A client on a LAN (default 1) without a default route: VIPs are out of its reach until asked. */
  addOutsideClient(name: string, options?: { readonly lan?: 1 | 2 }): Promise<OutsideClient>
  /** A client behind a router of its own; `mtu` (default 1300) is that of the link to the router. */
  addFarClient(name: string, options?: { readonly mtu?: number }): Promise<FarClient>
  /** Makes a TCP port of this process' own network reachable on the LAN; returns "address:port". */
  exposeOnLan(localPort: number, lanPort?: number): Promise<string>
  /** Ends every process and removes every namespace, pin, cgroup and file of the cluster. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
