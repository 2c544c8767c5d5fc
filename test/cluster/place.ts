import { runProcess, startProcess } from './process.ts'
import type { StartOptions } from './process.ts'
import type { Addresses, Place, Running } from './types.ts'

/** A place that can also keep the output of what it starts in a file. */
export interface LoggingPlace extends Place {
  spawn(command: readonly string[], options?: StartOptions): Running
}

// Only the network namespace is entered: `ip netns exec` would hide bpffs and the cgroup mounts.
const enter = 'echo 0 > "$1/cgroup.procs"; ns=$2; shift 2; exec nsenter --net="$ns" -- "$@"'

/** A namespace and cgroup that exist (or will, before the first command) as a place for commands. */
export function makePlace(
  netns: string,
  about: { readonly name: string; readonly cgroup: string; readonly addresses: Addresses },
): LoggingPlace {
  const wrap = (command: readonly string[]) => enterCommand(netns, about.cgroup, command)
  return {
    name: about.name,
    netns,
    addresses: about.addresses,
    exec: (command, options) => runProcess(wrap(command), options),
    spawn: (command, options) => startProcess(wrap(command), options),
  }
}

/** The command line that runs a command in a namespace and a cgroup. */
export function enterCommand(netns: string, cgroup: string, command: readonly string[]): string[] {
  return ['sh', '-c', enter, 'sh', cgroup, netnsPath(netns), ...command]
}

/** Where the namespace of this name is mounted. */
export function netnsPath(netns: string): string {
  return `/run/netns/${netns}`
}
