import type { Options } from 'yargs'
import { ShuntError } from '../errors.ts'

/** What yargs leaves in a text option: nothing, a text, or several when given more than once. */
export type FlagValue = string | readonly string[] | undefined

/** Options by name without dashes. */
export type Flags = Readonly<Record<string, unknown>>

/** The text of an option; given several times, the last counts, as in Go. */
export function textOf(flags: Flags, name: string): string | undefined {
  const value = flags[name] as FlagValue // every option is declared as text
  return typeof value === 'object' ? value.at(-1) : value
}

/** The text of a list option; given several times, the lists follow each other, as in Go. */
export function listOf(flags: Flags, name: string): string | undefined {
  const value = flags[name] as FlagValue // as above
  return typeof value === 'object' ? value.join(',') : value
}

/** An option that takes a text. */
export function text(describe: string, extra: Options = {}): Options {
  return { type: 'string', requiresArg: true, describe, ...extra }
}

/** The options every command that looks at the node has. */
export const rootOption: Readonly<Record<string, Options>> = {
  bpffs: text('pin root of the agent', { default: '/sys/fs/bpf/kube-shunt' }),
}

/** The format option of a command. */
export function outputOption(choices: readonly string[]): Readonly<Record<string, Options>> {
  const describe = `output format: ${choices.join(' or ')}`
  return { output: { type: 'string', alias: 'o', choices, requiresArg: true, describe } }
}

/** kube-proxy's flags that have no counterpart here yet. */
const unsupported = new Set(
  (
    'bind-address bind-address-hard-fail boot-id-file cleanup cluster-cidr config ' +
    'config-sync-period conntrack-max-per-core conntrack-min conntrack-tcp-be-liberal ' +
    'conntrack-tcp-timeout-close-wait conntrack-tcp-timeout-established conntrack-udp-timeout ' +
    'conntrack-udp-timeout-stream detect-local-mode feature-gates healthz-port init-only ' +
    'iptables-localhost-nodeports iptables-masquerade-bit iptables-min-sync-period ' +
    'iptables-sync-period ipvs-exclude-cidrs ipvs-min-sync-period ipvs-scheduler ' +
    'ipvs-strict-arp ipvs-sync-period ipvs-tcp-timeout ipvs-tcpfin-timeout ipvs-udp-timeout ' +
    'kube-api-burst kube-api-content-type kube-api-qps log-flush-frequency ' +
    'log-json-info-buffer-size log-json-split-stream log-text-info-buffer-size ' +
    'log-text-split-stream logging-format machine-id-file masquerade-all metrics-port ' +
    'nodeport-addresses oom-score-adj pod-bridge-interface pod-interface-name-prefix profiling ' +
    'proxy-mode show-hidden-metrics-for-version vmodule write-config-to'
  ).split(' '),
)

/** Tells kube-proxy's flags that are not supported yet from flags nobody knows. */
export function refuseUnsupported(args: readonly string[]): void {
  for (const arg of args) {
    const name = /^--?([a-z][a-z-]+)(=|$)/.exec(arg)?.[1]
    if (arg === '--') return
    if (name !== undefined && unsupported.has(name)) {
      const what = `--${name}: this flag of kube-proxy is not supported yet`
      throw new ShuntError('KSH_USAGE', `${what}; see kube-shunt run --help for what is`)
    }
  }
}
