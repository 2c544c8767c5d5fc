import { honoured, ignored, type Fate, type FieldType } from './field.ts'
import { fieldAt, fieldPaths, type FieldPath } from './fields.ts'

/** One of kube-proxy's flags. */
export interface ProxyFlag {
  readonly name: string
  readonly type: FieldType
  readonly fate: Fate
  /** The field it sets, for a flag that sets one. */
  readonly path: FieldPath | undefined
  /** Counts although --config is given. */
  readonly countsWithFile: boolean
  /** Still accepted, no longer shown. */
  readonly isDeprecated: boolean
}

const unused = ignored('the file is not read')
const others: readonly (readonly [name: string, type: FieldType, fate: Fate])[] = [
  ['config', 'text', honoured('the configuration file; a change of it ends the agent')],
  ['write-config-to', 'text', honoured('writes the configuration there and exits')],
  ['cleanup', 'boolean', honoured('removes everything of ours and exits, as kube-shunt cleanup')],
  ['init-only', 'boolean', honoured('makes the pins, loads the programs and exits')],
  [
    'version',
    'text',
    honoured('prints the version of kube-shunt; with vX.Y.Z, kubernetes_build_info tells that one'),
  ],
  ['master', 'text', honoured('address of the API server; wins over the kubeconfig')],
  ['boot-id-file', 'text', unused],
  ['machine-id-file', 'text', unused],
]
const deprecated: readonly (readonly [name: string, type: FieldType, fate: Fate])[] = [
  ['healthz-port', 'integer', honoured('port for a bare --healthz-bind-address; 0: nowhere')],
  ['metrics-port', 'integer', honoured('port for a bare --metrics-bind-address; 0: nowhere')],
]

const loggingFlag = /^(v|vmodule|logging-format|log-.*)$/

/** Every flag of kube-proxy but --help, sorted by name. */
export const proxyFlags: readonly ProxyFlag[] = [
  ...fieldPaths.flatMap(flagOfField),
  ...others.map((flag) => plainFlag(flag, false)),
  ...deprecated.map((flag) => plainFlag(flag, true)),
].sort((a, b) => (a.name < b.name ? -1 : 1))

function flagOfField(path: FieldPath): ProxyFlag[] {
  const { flag: name, type, fate } = fieldAt(path)
  if (name === undefined) return []
  const countsWithFile = loggingFlag.test(name) || name === 'hostname-override'
  return [{ name, type, fate, path, countsWithFile, isDeprecated: false }]
}

function plainFlag(
  [name, type, fate]: readonly [string, FieldType, Fate],
  isDeprecated: boolean,
): ProxyFlag {
  return { name, type, fate, path: undefined, countsWithFile: !isDeprecated, isDeprecated }
}

/** What a fate means, in a few words. */
export function fateText(fate: Fate): string {
  switch (fate.kind) {
    case 'honoured':
      return fate.how
    case 'pending':
      return `${fate.what} (no effect yet)`
    case 'ignored':
      return `accepted and ignored: ${fate.why}`
    case 'inapplicable':
      return `accepted and ignored: ${fate.why}`
  }
}
