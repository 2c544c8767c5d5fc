import { readFileSync } from 'node:fs'
import { parseAllDocuments } from 'yaml'

/** The parts of Kubernetes objects that the manifests use. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly rules?: readonly Rule[]
  readonly data?: Readonly<Record<string, string>>
  readonly subjects?: readonly { readonly kind: string; readonly name: string }[]
  readonly roleRef?: { readonly kind: string; readonly name: string }
  readonly spec?: unknown
}

export interface Rule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
}

export interface DaemonSet extends Manifest {
  readonly spec: {
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> }
    readonly updateStrategy: unknown
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> }
      readonly spec: PodSpec
    }
  }
}

export interface PodSpec {
  readonly priorityClassName?: string
  readonly serviceAccountName: string
  readonly automountServiceAccountToken?: boolean
  readonly hostNetwork: boolean
  readonly hostPID?: boolean
  readonly hostIPC?: boolean
  readonly nodeSelector: Readonly<Record<string, string>>
  readonly securityContext: { readonly seccompProfile: { readonly type: string } }
  readonly initContainers?: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes: readonly Volume[]
}

export interface Container {
  readonly name: string
  readonly image: string
  readonly command: readonly string[]
  readonly args?: readonly string[]
  readonly env?: readonly Variable[]
  readonly ports?: unknown
  readonly securityContext: {
    readonly privileged: boolean
    readonly allowPrivilegeEscalation: boolean
    readonly readOnlyRootFilesystem: boolean
    readonly runAsUser: number
    readonly capabilities: { readonly drop: readonly string[]; readonly add: readonly string[] }
  }
  readonly resources: Readonly<Record<'requests' | 'limits', Readonly<Record<string, string>>>>
  readonly startupProbe: { readonly exec: { readonly command: readonly string[] } }
  readonly livenessProbe?: HttpProbe
  readonly readinessProbe?: HttpProbe
  readonly volumeMounts: readonly Mount[]
}

interface HttpProbe {
  readonly httpGet: { readonly path: string; readonly port: number }
}

export interface Variable {
  readonly name: string
  readonly valueFrom?: {
    readonly fieldRef?: { readonly fieldPath: string }
    readonly configMapKeyRef?: { readonly name: string; readonly key: string }
  }
}

export interface Mount {
  readonly name: string
  readonly mountPath: string
  readonly readOnly?: boolean
}

export interface Volume {
  readonly name: string
  readonly hostPath?: { readonly path: string }
  readonly configMap?: { readonly name: string }
  readonly emptyDir?: unknown
}

/** Those that run the agent. */
export const overlays = ['base', 'kubeadm', 'canary', 'monitoring'] as const
export type Overlay = (typeof overlays)[number] | 'cleanup'

/** The text of a rendered overlay. */
export function renderedText(overlay: Overlay): string {
  return readFileSync(new URL(`../../deploy/rendered/${overlay}.yaml`, import.meta.url), 'utf8')
}

/** The objects of a rendered overlay. */
export function rendered(overlay: Overlay): Manifest[] {
  return parseManifests(renderedText(overlay))
}

/** The objects of a text with one or more documents. */
export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null)
}

/** The one DaemonSet among these objects. */
export function daemonSet(manifests: readonly Manifest[]): DaemonSet {
  const [found, ...more] = manifests.filter(({ kind }) => kind === 'DaemonSet')
  if (found === undefined || more.length > 0) throw new Error('not exactly one DaemonSet')
  return found as DaemonSet
}

export interface Alert {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
}

interface RuleGroup {
  readonly rules: readonly Alert[]
}

/** The groups of the PrometheusRule among these objects. */
export function ruleGroups(manifests: readonly Manifest[]): readonly RuleGroup[] {
  const { spec } = manifests.find(({ kind }) => kind === 'PrometheusRule')!
  return (spec as { groups: readonly RuleGroup[] }).groups
}

/** All their alerts. */
export function alertsOf(manifests: readonly Manifest[]): readonly Alert[] {
  return ruleGroups(manifests).flatMap(({ rules }) => rules)
}
