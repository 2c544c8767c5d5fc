import type { CommandModule, Options } from 'yargs'
import { fateText, proxyFlags, type ProxyFlag } from '../proxy-config/flags.ts'
import { rootOption, text, type Flags } from './flags.ts'

/* kube-proxy's flags without a default: whether they were given decides over a file's value. */
const proxyOptions: Readonly<Record<string, Options>> = {
  ...Object.fromEntries(proxyFlags.filter(({ name }) => name !== 'version').map(optionOf)),
  'reported-version': text('of --version=vX.Y.Z', { hidden: true }),
}

function optionOf({ name, fate, isDeprecated: hidden }: ProxyFlag): readonly [string, Options] {
  const group = "kube-proxy's flags:"
  return [name, text(fateText(fate), { group, requiresArg: false, hidden })]
}

/** The options of `run`; texts only, read by src/config.ts. */
export const runOptions: Readonly<Record<string, Options>> = {
  ...proxyOptions,
  'cluster-file': text(
    'read Services and EndpointSlices from FILE (YAML or JSON) instead of an API server',
  ),
  ...rootOption,
  cgroup: text('cgroup v2 directory for socket programs; default: the cgroup v2 mount'),
  'socket-lb': text('translate at the socket: off (others not supported yet)', { default: 'off' }),
  forwarding: text('how packets leave: stack (fast not supported yet)', { default: 'stack' }),
  xdp: text('XDP on uplinks: auto (native on cards that can), native, generic or off', {
    default: 'auto',
  }),
  devices: text('uplinks, as globs separated by commas; default: detected'),
  'pod-devices': text('host ends of pods, as globs separated by commas; default: detected'),
  'external-ip-cidrs': text('ranges in which externalIPs are allowed; default: none'),
  'source-ranges-for': text(
    'frontends that loadBalancerSourceRanges are for: load-balancer, or external (all but ClusterIP)',
    { default: 'load-balancer' },
  ),
  'service-cidrs': text(
    'ranges of cluster IPs, whose unused addresses are not routed on, or none; ' +
      'default: those of the ServiceCIDR objects',
  ),
  'snat-ports': text('source ports towards backends on other nodes, LOW-HIGH; default: 1024-65535'),
  'flow-table-entries': text('room for established flow halves; default: from memory'),
  'frontends-max': text('room for frontends; default: 65536'),
  'backends-max': text('room for backends; default: 262144'),
  'midflow-grace': text(
    'after the first start, leave unknown TCP in mid-flow to the host this long',
    {
      default: '30m',
    },
  ),
  'if-owned': text('when another agent owns the pin root: fail, or wait until it ends', {
    default: 'fail',
  }),
  'ready-file': text('written when the agent has started, or waits and could start'),
  'log-format': text('json or pretty; default: json, or as --logging-format or the file says'),
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
