import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  addressScope,
  canonicalAddress,
  canonicalRange,
  familyOf,
  readAddress,
  whyNotAddress,
  writeAddress,
} from '../../src/model/address.ts'

const canonical: readonly (readonly [string, string])[] = [
  ['10.0.0.1', '10.0.0.1'],
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['::', '::'],
  ['::1', '::1'],
  ['FD00:0:0::1', 'fd00::1'],
  ['fd00:0000:0000:0000:0000:0000:0000:00a1', 'fd00::a1'],
  ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
  ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
]

const refused: readonly (readonly [string, RegExp])[] = [
  ['', /not an IP/],
  ['None', /not an IP/],
  ['300.1.1.1', /not an IP/],
  ['10.0.0', /not an IP/],
  ['10.0.0.1.', /not an IP/],
  ['1.2.3.4.5', /not an IP/],
  ['10.0.0.010', /leading zeros/],
  ['010.0.0.10', /leading zeros/],
  ['10.0.0.1 ', /not an IP/],
  ['10.0.0.1/32', /range/],
  ['0x0a.0.0.1', /not an IP/],
  ['167772161', /not an IP/],
  ['fe80::1%eth0', /zone/],
  ['::ffff:10.0.0.1', /IPv4 address in IPv6 form/],
  ['::ffff:a00:1', /IPv4 address in IPv6 form/],
  ['1:2:3:4:5:6:7', /not an IP/],
  ['1:2:3:4:5:6:7:8:9', /not an IP/],
  ['1:2:3:4:5:6:7:8::', /not an IP/],
  ['::1::', /not an IP/],
  [':::', /not an IP/],
  ['12345::', /not an IP/],
  ['::10.0.0.01', /not an IP/],
  ['10.0.0.1::', /not an IP/],
  ['1'.repeat(10_000), /not an IP/],
]

describe('addresses', () => {
  it('canonicalAddress() gives one text for each address', () => {
    for (const [text, expected] of canonical) assert.equal(canonicalAddress(text), expected, text)
  })

  it('canonicalAddress() refuses what readers disagree about, with a reason', () => {
    for (const [text, reason] of refused) {
      assert.equal(canonicalAddress(text), undefined, text)
      assert.match(whyNotAddress(text), reason, text)
    }
  })

  it('the bytes of an address give its canonical text back', () => {
    const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 })
    const sparse = bytes.map((all) => all.map((byte) => (byte < 160 ? 0 : byte)))
    fc.assert(
      fc.property(fc.oneof(bytes, sparse), (input) => {
        const text = readAddress(input, 0)
        const output = new Uint8Array(18).fill(0xee)
        writeAddress(text, output, 1)
        assert.deepEqual(output.slice(1, 17), input)
        assert.deepEqual([output[0], output[17]], [0xee, 0xee])
        if (!text.includes('.')) assert.equal(new URL(`http://[${text}]`).hostname, `[${text}]`)
      }),
    )
    fc.assert(
      fc.property(fc.ipV4(), (text) => {
        const buffer = new Uint8Array(16).fill(0xee)
        writeAddress(text, buffer, 0)
        assert.equal(readAddress(buffer, 0), text)
        assert.equal(familyOf(text), 4)
      }),
    )
  })

  it('writeAddress() refuses a text that is not canonical instead of writing half of it', () => {
    assert.throws(() => writeAddress('10.0.0', new Uint8Array(16), 0), TypeError)
    assert.throws(() => writeAddress('::g', new Uint8Array(16), 0), TypeError)
  })

  it('addressScope() knows where packets must not go', () => {
    const scopes = {
      unicast: ['10.0.0.1', '192.0.2.1', '223.255.255.255', '2001:db8::1', 'fd00::1', 'fec0::1'],
      loopback: ['127.0.0.1', '127.255.255.254', '::1'],
      'link-local': ['169.254.169.254', 'fe80::1', 'febf::1'],
      multicast: ['224.0.0.1', '239.1.1.1', 'ff02::1'],
      unspecified: ['0.0.0.0', '0.1.2.3', '::'],
      reserved: ['240.0.0.1', '255.255.255.255'],
    }
    for (const [scope, addresses] of Object.entries(scopes)) {
      for (const address of addresses) assert.equal(addressScope(address), scope, address)
    }
    assert.equal(addressScope('ff::1'), 'unicast', 'ff::1 is 00ff::1')
  })

  it('canonicalRange() clears host bits and refuses odd lengths', () => {
    const ranges: readonly (readonly [string, string | undefined])[] = [
      ['10.1.2.3/8', '10.0.0.0/8'],
      ['10.1.2.3', '10.1.2.3/32'],
      ['0.0.0.0/0', '0.0.0.0/0'],
      ['fd00::1:2/64', 'fd00::/64'],
      ['fd00::ff/125', 'fd00::f8/125'],
      ['::/0', '::/0'],
      ['10.0.0.0/33', undefined],
      ['10.0.0.0/08', undefined],
      ['10.0.0.0/', undefined],
      ['10.0.0.0/-1', undefined],
      ['fd00::/129', undefined],
      ['10.0.0/8', undefined],
    ]
    for (const [text, expected] of ranges) assert.equal(canonicalRange(text), expected, text)
  })
})
