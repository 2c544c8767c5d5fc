import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { frontendKey, type ResolvedService, type ServiceName } from '../../src/model/types.ts'
import { createClaims, updateClaims, winnerOf } from '../../src/plan/claims.ts'

const [a, b, c] = ['ns/a', 'ns/b', 'ns/c'] as ServiceName[]

function wants(name: ServiceName, createdAt: number, ...ports: number[]): ResolvedService {
  const keys = ports.map((port) => frontendKey('10.0.0.1', port, 'TCP'))
  const frontends = [{ keys }] as unknown as ResolvedService['frontends']
  return { name, uid: 'u', createdAt, frontends, refusals: [] }
}

const key = (port: number): string => `10.0.0.1:${port}/TCP`

describe('updateClaims()', () => {
  it('tells which other Services gain or lose a key', () => {
    const claims = createClaims()
    const affected = (name: ServiceName, resolved?: ResolvedService): ServiceName[] => [
      ...updateClaims(claims, name, resolved),
    ]
    assert.deepEqual(affected(b!, wants(b!, 2, 80, 81)), [])
    assert.deepEqual(affected(c!, wants(c!, 3, 80)), [], 'a younger one changes nothing')
    assert.deepEqual(affected(a!, wants(a!, 1, 80)), [b], 'an older one takes the key')
    assert.deepEqual([winnerOf(claims, key(80)), winnerOf(claims, key(81))], [a, b])
    assert.deepEqual(affected(a!, wants(a!, 1, 80)), [], 'the same again')
    assert.deepEqual(affected(a!, wants(a!, 9, 80)), [b], 'created anew, now the youngest')
    assert.deepEqual(affected(b!, wants(b!, 2, 81)), [c], 'the next in age')
    assert.deepEqual(affected(c!), [a])
    assert.deepEqual(affected(a!), [])
    assert.deepEqual(affected(b!), [])
    assert.equal(claims.byKey.size + claims.byService.size, 0)
  })

  it('decides between equally old ones by uid and name', () => {
    const claims = createClaims()
    updateClaims(claims, b!, wants(b!, 1, 80))
    updateClaims(claims, a!, wants(a!, 1, 80))
    assert.equal(winnerOf(claims, key(80)), a)
    updateClaims(claims, c!, { ...wants(c!, 1, 80), uid: 'a' })
    assert.equal(winnerOf(claims, key(80)), c)
  })
})
