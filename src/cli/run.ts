import type { CommandModule, Options } from 'yargs'
import { refuseUnsupported, rootOption, text, type Flags } from './flags.ts'

/** The options of `run`; texts only, read by src/config.ts. */
export const runOptions: Readonly<Record<string, Options>> = {
  'cluster-file': text(
    'read Services and EndpointSlices from FILE (YAML or JSON) instead of an API server',
  ),
  kubeconfig: text(
    'kubeconfig with the API server and credentials; default: the pod service account',
  ),
  master: text('address of the API server; wins over the kubeconfig'),
  'hostname-override': text("name of this node; default: the host's name"),
  ...rootOption,
  cgroup: text('cgroup v2 directory for socket programs; default: the cgroup v2 mount'),
  'socket-lb': text('translate at the socket: off (others not supported yet)', { default: 'off' }),
  forwarding: text('how packets leave: stack (fast not supported yet)', { default: 'stack' }),
  xdp: text('XDP on uplinks: off (others not supported yet)', { default: 'off' }),
  devices: text('uplinks, as globs separated by commas; default: detected'),
  'pod-devices': text('host ends of pods, as globs separated by commas; default: detected'),
  'external-ip-cidrs': text('ranges in which externalIPs are allowed (no effect yet)'),
  'snat-ports': text('source ports for SNAT, LOW-HIGH (no effect yet)'),
  'flow-table-entries': text('room for established flow halves; default: from memory'),
  'frontends-max': text('room for frontends; default: 65536'),
  'backends-max': text('room for backends; default: 262144'),
  'midflow-grace': text(
    'after the first start, leave unknown TCP in mid-flow to the host this long',
    {
      default: '30m',
    },
  ),
  'healthz-bind-address': text('serve /healthz and /livez here; empty: nowhere', {
    default: '0.0.0.0:10256',
    requiresArg: false,
  }),
  'metrics-bind-address': text('serve /metrics, /proxyMode and /configz here; empty: nowhere', {
    default: '127.0.0.1:10249',
    requiresArg: false,
  }),
  'log-format': text('json or pretty', { default: 'json' }),
  v: text('log level: 0 info, 1 debug, 4 trace', { default: '0' }),
}

/** The `run` command; `start` gets the flags as given and ends when the agent does. */
export function runCommand(start: (flags: Flags) => Promise<void>): CommandModule {
  return {
    command: 'run',
    describe: 'the agent, in the foreground; SIGTERM leaves the datapath in place',
    builder: (yargs) => yargs.options(runOptions),
    handler: (flags) => start(flags),
  }
}

/** Refuses kube-proxy's flags that `run` cannot honour yet, before unknown ones are refused. */
export function checkRunFlags(args: readonly string[]): void {
  if (args[0] === 'run') refuseUnsupported(args.slice(1))
}
