import { netnsPath } from '../cluster/place.ts'
import type { Stage } from './stage.ts'

/** What to type in another terminal while the cluster stays. */
export function explorationLines({ cluster, services }: Stage): string[] {
  const [node] = cluster.nodes
  const client = node!.pod('client')
  const web = services[0]!
  return [
    'The cluster stays until Ctrl-C. In another terminal, from this directory:',
    '',
    `  shunt() { nsenter --net=${netnsPath(node!.netns)} npx kube-shunt "$@" \\`,
    `    --bpffs ${node!.bpffs}; }`,
    '  shunt status',
    '  shunt services',
    '  shunt flows --service default/web --state established',
    '  shunt dump',
    '  shunt doctor',
    '',
    'Ask web from a pod:',
    `  nsenter --net=${netnsPath(client.netns)} \\`,
    `    build/traffic/dial --once --target ${web.target}`,
    'The objects that the agents read; edit and save:',
    `  ${cluster.objects.path}`,
    `Metrics of ${node!.name}:`,
    `  nsenter --net=${netnsPath(node!.netns)} curl -s 127.0.0.1:10249/metrics`,
  ]
}
