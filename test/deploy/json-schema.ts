/** The part of JSON schema that values.schema.json is written in. */
export interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean'
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly items?: Schema
  readonly required?: readonly string[]
  readonly additionalProperties?: false
  readonly properties?: Readonly<Record<string, Schema>>
}

/** What is wrong with a value, by path; nothing: it is as the schema says. */
export function violations(schema: Schema, value: unknown, path = ''): string[] {
  if (schema.type !== undefined && typeOf(value) !== schema.type)
    return [`${path}: ${typeOf(value)}, not ${schema.type}`]
  if (schema.enum !== undefined && !schema.enum.includes(value))
    return [`${path}: not one of ${schema.enum.join(', ')}`]
  if (typeof value === 'string' && !new RegExp(schema.pattern ?? '', 'u').test(value))
    return [`${path}: does not match ${schema.pattern ?? ''}`]
  const { minimum = -Infinity, maximum = Infinity } = schema
  if (typeof value === 'number' && (value < minimum || value > maximum))
    return [`${path}: out of range`]
  if (Array.isArray(value))
    return value.flatMap((item, index) => violations(schema.items ?? {}, item, `${path}[${index}]`))
  if (typeof value !== 'object' || value === null) return []
  return objectViolations(schema, value as Record<string, unknown>, path)
}

function objectViolations(
  { required = [], properties = {}, additionalProperties }: Schema,
  value: Readonly<Record<string, unknown>>,
  path: string,
): string[] {
  const missing = required.filter((name) => !(name in value))
  const unknown = Object.keys(value).filter((name) => !(name in properties))
  return [
    ...missing.map((name) => `${path}.${name}: missing`),
    ...(additionalProperties === false ? unknown.map((name) => `${path}.${name}: unknown`) : []),
    ...Object.entries(properties).flatMap(([name, schema]) =>
      name in value ? violations(schema, value[name], `${path}.${name}`) : [],
    ),
  ]
}

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return 'array'
  if (value === null) return 'null'
  return Number.isInteger(value) ? 'integer' : typeof value
}
