/* Durations as Go writes and reads them; in nanoseconds, which a double holds for 104 days exactly. */

const unitNanoseconds: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

/** Nanoseconds of a text such as `1h30m`, `-1.5s` or `0`; undefined when it is no duration. */
export function parseGoDuration(text: string): number | undefined {
  const [, sign = '', rest = ''] = /^([+-]?)(.*)$/s.exec(text) ?? []
  if (rest === '0') return 0
  const parts = [...rest.matchAll(/([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)/gy)]
  const isWhole = parts.length > 0 && parts.map(([part]) => part).join('') === rest
  if (!isWhole) return undefined
  const sum = parts.reduce(
    (total, [, amount, unit]) => total + Number(amount) * unitNanoseconds[unit!]!,
    0,
  )
  const nanoseconds = Math.trunc(sum)
  return Number.isFinite(sum) && nanoseconds < 2 ** 63
    ? nanoseconds * (sign === '-' ? -1 : 1) + 0
    : undefined
}

/** The text Go prints for a duration: `24h0m0s`, `1m0s`, `250ms`, `0s`. */
export function formatGoDuration(nanoseconds: number): string {
  if (nanoseconds < 0) return `-${formatGoDuration(-nanoseconds)}`
  if (nanoseconds === 0) return '0s'
  if (nanoseconds < 1e3) return `${nanoseconds}ns`
  if (nanoseconds < 1e6) return `${decimal(nanoseconds, 1e3)}µs`
  if (nanoseconds < 1e9) return `${decimal(nanoseconds, 1e6)}ms`
  const hours = Math.floor(nanoseconds / 3600e9)
  const minutes = Math.floor(nanoseconds / 60e9) % 60
  const seconds = `${decimal(nanoseconds % 60e9, 1e9)}s`
  if (hours > 0) return `${hours}h${minutes}m${seconds}`
  return minutes > 0 ? `${minutes}m${seconds}` : seconds
}

function decimal(value: number, unit: number): string {
  const whole = Math.floor(value / unit)
  const digits = String(unit).length - 1
  const fraction = String(value % unit)
    .padStart(digits, '0')
    .replace(/0+$/, '')
  return fraction === '' ? String(whole) : `${whole}.${fraction}`
}
