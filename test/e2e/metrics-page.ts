import type { Agent } from '../cluster/types.ts'

/** The sum over an agent's metrics of this name whose labels contain a text. */
export async function readMetric(agent: Agent, name: string, labels = ''): Promise<number> {
  const { body } = await agent.get('http://127.0.0.1:10249/metrics')
  const lines = body.split('\n').filter((line) => {
    const [metric = ''] = line.split(/[{ ]/, 1)
    return metric === name && line.includes(labels)
  })
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

/** The sum of a metric over several agents. */
export async function sumMetric(
  agents: readonly Agent[],
  name: string,
  labels = '',
): Promise<number> {
  const values = await Promise.all(agents.map((agent) => readMetric(agent, name, labels)))
  return values.reduce((sum, value) => sum + value, 0)
}
