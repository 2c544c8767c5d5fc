import { ApiError } from './api-error.ts'

const newline = 0x0a

/** Cuts a byte stream into lines, whatever the sizes of the chunks; a longer line is an error. */
export class LineSplitter {
  readonly #maxBytes: number
  #pieces: Buffer[] = []
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The lines this chunk completes, without empty ones. */
  *push(chunk: Buffer): Generator<string> {
    let start = 0
    for (;;) {
      const end = chunk.indexOf(newline, start)
      if (end < 0) break
      this.#keep(chunk.subarray(start, end))
      start = end + 1
      const line = this.#take()
      if (line !== '') yield line
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start))
  }

  /** Bytes of a line that was begun and not ended. */
  get rest(): number {
    return this.#bytes
  }

  #keep(piece: Buffer): void {
    this.#bytes += piece.length
    if (this.#bytes > this.#maxBytes)
      throw new ApiError(`a line of the watch is longer than ${this.#maxBytes} bytes`, {
        status: 0,
      })
    this.#pieces.push(piece)
  }

  #take(): string {
    const [first] = this.#pieces
    const bytes = this.#pieces.length === 1 && first ? first : Buffer.concat(this.#pieces)
    this.#pieces = []
    this.#bytes = 0
    return bytes.toString('utf8')
  }
}
