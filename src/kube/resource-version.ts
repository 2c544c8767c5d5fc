const decimal = /^[1-9][0-9]*$/

/** Whether version `a` came before `b`; false when either is not a plain number. */
export function isOlder(a: string, b: string): boolean {
  if (!decimal.test(a) || !decimal.test(b)) return false
  return a.length === b.length ? a < b : a.length < b.length
}
