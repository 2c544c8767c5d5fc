import { readFileSync } from 'node:fs'

/** What the doctor says about one feature. */
export interface Finding {
  /** missing: kube-shunt cannot run; warning: something will not work; note: good to know. */
  readonly verdict: 'ok' | 'note' | 'warning' | 'missing'
  readonly feature: string
  readonly detail: string
}

/** The text of a small file of /proc or /sys, or undefined. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
