const warning =
  'Warning: This endpoint is not meant to be machine parseable, ' +
  'has no formatting compatibility guarantees and is for debugging purposes only.'

/** The page /statusz: what runs, since when, and what else can be asked. */
export function statusPage(version: string, paths: readonly string[], now: number): string {
  const up = Math.floor(process.uptime())
  const started = new Date(now - up * 1000).toUTCString()
  const [hours, minutes, seconds] = [Math.floor(up / 3600), Math.floor(up / 60) % 60, up % 60]
  const lines = [
    `Started: ${started}`,
    `Up: ${hours} hr ${minutes} min ${seconds} sec`,
    `Node version: ${process.version}`,
    `Binary version: ${version}`,
    `Paths: ${[...paths].sort().join(' ')}`,
  ]
  return page('statusz', lines)
}

/** The page /flagz: kube-proxy's flags and the values they would have to have. */
export function flagsPage(flags: readonly (readonly [name: string, value: string])[]): string {
  return page(
    'flagz',
    flags.map(([name, value]) => `${name}=${value}`),
  )
}

function page(name: string, lines: readonly string[]): string {
  return ['', `kube-proxy ${name}`, warning, '', ...lines, ''].join('\n')
}
