/** One collection of the API: where it is and which part of it is wanted. */
export interface Resource {
  readonly kind: string
  readonly apiVersion: string
  readonly namespaced: boolean
  /** Path of the collection in all namespaces. */
  readonly path: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

/** The Services a proxy serves, with the selectors kube-proxy sends. */
export const services: Resource = {
  kind: 'Service',
  apiVersion: 'v1',
  namespaced: true,
  path: '/api/v1/services',
  labelSelector: '!service.kubernetes.io/service-proxy-name',
  fieldSelector: 'spec.clusterIP!=None',
}

/** The EndpointSlices a proxy serves, with the selector kube-proxy sends. */
export const endpointSlices: Resource = {
  kind: 'EndpointSlice',
  apiVersion: 'discovery.k8s.io/v1',
  namespaced: true,
  path: '/apis/discovery.k8s.io/v1/endpointslices',
  labelSelector: '!service.kubernetes.io/headless',
}

/** Service address ranges; servers before 1.33 may not have them. */
export const serviceCidrs: Resource = {
  kind: 'ServiceCIDR',
  apiVersion: 'networking.k8s.io/v1',
  namespaced: false,
  path: '/apis/networking.k8s.io/v1/servicecidrs',
}

/** The one Node object a proxy needs. */
export function nodeResource(name: string): Resource {
  return {
    kind: 'Node',
    apiVersion: 'v1',
    namespaced: false,
    path: '/api/v1/nodes',
    fieldSelector: `metadata.name=${name}`,
  }
}
