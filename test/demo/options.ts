import { parseArgs } from 'node:util'
import type { Profile } from '../cluster/types.ts'

export interface DemoOptions {
  readonly profile: Profile
  /** Stay after the last scene, for exploring. */
  readonly keep: boolean
  /** Lines even on a terminal. */
  readonly plain: boolean
}

export const usage = `npm run demo -- [--profile bridge|ptp|vxlan] [--keep] [--plain]

A two-node, dual-stack cluster of network namespaces on this machine, with a real agent on each
node and real traffic on screen. Ends by itself after about 40 s and says what it measured; exit
code 1 if any of it was wrong.

  --profile  how pods are wired: bridge (default), ptp (routed veths) or vxlan (overlay)
  --keep     stay after the last scene, for exploring, until Ctrl-C
  --plain    lines instead of a screen, as in a pipe
`

const profiles: readonly Profile[] = ['bridge', 'ptp', 'vxlan']

/** What the command line asks for; a text is what to print instead, and the exit code. */
export function parseOptions(
  args: readonly string[],
): DemoOptions | { readonly text: string; readonly code: number } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        profile: { type: 'string', default: 'bridge' },
        keep: { type: 'boolean', default: false },
        plain: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return { text: usage, code: 0 }
    const profile = profiles.find((name) => name === values.profile)
    if (profile === undefined)
      return refusal(`--profile ${values.profile}: use ${profiles.join(', ')}`)
    return { profile, keep: values.keep, plain: values.plain }
  } catch (error) {
    return refusal(error instanceof Error ? error.message : String(error))
  }
}

function refusal(why: string): { readonly text: string; readonly code: number } {
  return { text: `demo: ${why}\n\n${usage}`, code: 2 }
}
