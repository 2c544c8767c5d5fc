import { ApiError } from './api-error.ts'

const quote = 0x22
const backslash = 0x5c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d

/** Cuts a list answer into its items while it arrives, so that no page is ever parsed in one go. */
export class ItemSplitter {
  readonly #maxBytes: number
  #envelope = ''
  #depth = 0
  #inItems = false
  #inString = false
  #escaped = false
  #item: Buffer[] = []
  #itemBytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The items this chunk completes, as JSON text. */
  *push(chunk: Buffer): Generator<string> {
    let start = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!
      if (this.#inString) {
        at = this.#skipString(chunk, at)
      } else if (byte === quote) {
        this.#inString = true
      } else if (byte === openBrace || byte === openBracket) {
        if (++this.#depth === 2 && byte === openBracket) {
          this.#keep(chunk.subarray(start, at + 1))
          start = at + 1
          this.#inItems = /"items"\s*:\s*\[$/.test(this.#envelope)
        } else if (this.#inItems && this.#depth === 3) {
          start = at
        }
      } else if (byte === closeBrace || byte === closeBracket) {
        this.#depth--
        if (this.#inItems && this.#depth === 2) {
          this.#keep(chunk.subarray(start, at + 1))
          start = at + 1
          yield this.#take()
        } else if (this.#inItems && this.#depth === 1) {
          this.#inItems = false
          start = at
        }
      }
    }
    if (!this.#inItems || this.#depth >= 3) this.#keep(chunk.subarray(start))
  }

  /** The list without its items; throws when the answer was cut short. */
  end(): unknown {
    if (this.#depth !== 0 || this.#envelope === '')
      throw new ApiError('the list was cut short', { status: 0 })
    return JSON.parse(this.#envelope)
  }

  /** Goes to the last byte of the string in this chunk; most bytes are in strings. */
  #skipString(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at++) {
      if (this.#escaped) this.#escaped = false
      else if (chunk[at] === backslash) this.#escaped = true
      else if (chunk[at] === quote) {
        this.#inString = false
        return at
      }
    }
    return chunk.length
  }

  #keep(piece: Buffer): void {
    if (this.#inItems) {
      this.#item.push(piece)
      this.#itemBytes += piece.length
    } else {
      this.#envelope += piece.toString('latin1')
    }
    if (this.#itemBytes > this.#maxBytes || this.#envelope.length > this.#maxBytes)
      throw new ApiError(`an item of the list is longer than ${this.#maxBytes} bytes`, {
        status: 0,
      })
  }

  #take(): string {
    const [first] = this.#item
    const bytes = this.#item.length === 1 && first ? first : Buffer.concat(this.#item)
    this.#item = []
    this.#itemBytes = 0
    return bytes.toString('utf8')
  }
}
