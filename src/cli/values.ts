import { accessSync, constants, statSync } from 'node:fs'
import { ShuntError, messageOf } from '../errors.ts'
import { canonicalAddress, canonicalRange, familyOf } from '../model/address.ts'

/** A flag as it was given: its name with dashes, and its text. */
export interface Given {
  readonly flag: string
  readonly text: string
}

/** Refuses a value: names the flag, the value and what is allowed. */
export function refuse({ flag, text }: Given, allowed: string): never {
  throw new ShuntError('KSH_USAGE', `${flag}: ${JSON.stringify(text)} is not allowed: ${allowed}`)
}

/** One of a few words. */
export function parseChoice<Choice extends string>(
  given: Given,
  choices: readonly Choice[],
): Choice {
  const found = choices.find((choice) => choice === given.text)
  return found ?? refuse(given, `use ${choices.join(' or ')}`)
}

/** A whole number within limits. */
export function parseCount(given: Given, least: number, most: number): number {
  const value = /^[0-9]{1,15}$/.test(given.text) ? Number(given.text) : NaN
  return value >= least && value <= most
    ? value
    : refuse(given, `use a whole number from ${least} to ${most}`)
}

const unitSeconds: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
}

/** Seconds of a duration as Go writes it: 30m, 1h30m, 1.5s, 0. */
export function parseDuration(given: Given, mostSeconds: number): number {
  const allowed = `use a duration such as 90s, 30m or 1h30m, at most ${mostSeconds / 3600}h`
  if (given.text === '0') return 0
  const parts = [...given.text.matchAll(/([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)/g)]
  const seconds = parts.reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * unitSeconds[unit!]!,
    0,
  )
  const isWhole = parts.length > 0 && parts.map(([part]) => part).join('') === given.text
  return isWhole && seconds <= mostSeconds ? seconds : refuse(given, allowed)
}

/** An address and port to listen on; undefined for an empty text, which means not at all. */
export function parseBindAddress(
  given: Given,
  defaultPort: number,
): { readonly host: string; readonly port: number } | undefined {
  if (given.text === '') return undefined
  const allowed = 'use ADDRESS:PORT, [ADDRESS]:PORT, ADDRESS or :PORT, or nothing to switch it off'
  const whole = canonicalAddress(given.text)
  if (whole !== undefined) return { host: whole, port: defaultPort }
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(given.text)
  if (match === null) return refuse(given, allowed)
  const [, bracketed, plain, digits] = match
  const host = hostOf(bracketed, plain)
  const port = Number(digits)
  if (host === undefined || port > 65535) return refuse(given, allowed)
  return port === 0 ? undefined : { host, port }
}

/* No host means all addresses of both families, as in Go. */
function hostOf(bracketed: string | undefined, plain: string | undefined): string | undefined {
  if (bracketed === undefined && plain === '') return '::'
  const address = canonicalAddress(bracketed ?? plain ?? '')
  const family = bracketed === undefined ? 4 : 6
  return address !== undefined && familyOf(address) === family ? address : undefined
}

/** Items separated by commas, without blanks around them. */
export function parseList({ text }: Given): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

/** Interface names, in which * and ? may stand for characters. */
export function parseGlobs(given: Given): string[] {
  const globs = parseList(given)
  const isGlob = (glob: string): boolean => /^[^\s/:]{1,64}$/.test(glob)
  return globs.every(isGlob)
    ? globs
    : refuse(given, 'use interface names or globs such as eth*,en*, separated by commas')
}

/** Address ranges in their canonical form. */
export function parseRanges(given: Given): string[] {
  return parseList(given).map(
    (item) =>
      canonicalRange(item) ??
      refuse(given, 'use ranges such as 192.0.2.0/24,2001:db8::/64, separated by commas'),
  )
}

/** A range of ports, both ends included. */
export function parsePorts(given: Given): { readonly low: number; readonly high: number } {
  const match = /^([0-9]{1,5})-([0-9]{1,5})$/.exec(given.text)
  const low = Number(match?.[1] ?? NaN)
  const high = Number(match?.[2] ?? NaN)
  return low >= 1 && low <= high && high <= 65535
    ? { low, high }
    : refuse(given, 'use LOW-HIGH with 1 <= LOW <= HIGH <= 65535')
}

/** A path to a file that can be read now. */
export function parseFile(given: Given): string {
  try {
    accessSync(given.text, constants.R_OK)
    if (!statSync(given.text).isDirectory()) return given.text
  } catch (cause) {
    const why = `a file that can be read is needed (${messageOf(cause)})`
    throw new ShuntError('KSH_USAGE', `${given.flag}: cannot read ${given.text}: ${why}`, { cause })
  }
  return refuse(given, 'a file is needed, this is a directory')
}

/** An absolute path. */
export function parsePath(given: Given): string {
  const path = given.text.replace(/(?<=.)\/+$/, '')
  return path.startsWith('/') ? path : refuse(given, 'use an absolute path')
}
