import { writeSync } from 'node:fs'
import { clock, drawLine, drawScreen, painted, unpainted } from './draw.ts'
import type { Paint } from './draw.ts'
import type { Stage } from './stage.ts'
import { lookAt } from './view.ts'

const drawEveryMs = 250
const lineEveryMs = 2000
const alternate = '\x1b[?1049h\x1b[?25l'
const normal = '\x1b[?25h\x1b[?1049l'

/** Tells the audience what happens: a screen on a terminal, lines anywhere else. */
export class Show {
  readonly paint: Paint
  readonly #profile: string
  readonly #isScreen: boolean
  readonly #started = Date.now()
  readonly #events: string[] = []
  #scene = ''
  #printed = 0
  #stage: Stage | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(about: { readonly profile: string; readonly isScreen: boolean }) {
    this.#profile = about.profile
    this.#isScreen = about.isScreen
    this.paint = hasColour() ? painted : unpainted
  }

  get seconds(): number {
    return (Date.now() - this.#started) / 1000
  }

  /** Begins to draw the stage. */
  open(stage: Stage): void {
    this.#stage = stage
    if (this.#isScreen) process.stdout.write(alternate)
    const every = this.#isScreen ? drawEveryMs : lineEveryMs
    this.#timer = setInterval(() => this.#draw(), every)
    this.#draw()
  }

  scene(title: string): void {
    this.#scene = title
    if (this.#isScreen) this.#draw()
    else this.#print(`\n${this.paint(['bold', 'cyan'], title)}`)
  }

  event(text: string): void {
    const line = `${clock(this.seconds)} ${text}`
    this.#events.push(line)
    if (this.#stage !== undefined && this.#isScreen) return this.#draw()
    this.#print(line)
    this.#printed = this.#events.length
  }

  /** Gives the terminal back; what happened stays readable above what follows. */
  close(): void {
    clearInterval(this.#timer)
    if (this.#stage !== undefined && this.#isScreen) {
      writeSync(1, normal) // also while the process exits
      this.#print(this.#events.slice(this.#printed).join('\n'))
    }
    this.#stage = undefined
  }

  #draw(): void {
    const stage = this.#stage
    if (stage === undefined) return
    const view = lookAt(stage)
    if (!this.#isScreen) {
      this.#print(`${clock(this.seconds)}   ${this.paint('dim', drawLine(view))}`)
      return
    }
    const { columns, rows } = process.stdout
    const lines = drawScreen(
      {
        ...{ view, columns, rows, scene: this.#scene, profile: this.#profile },
        ...{ seconds: this.seconds, events: this.#events },
      },
      this.paint,
    )
    process.stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\n')}\x1b[J`)
  }

  #print(text: string): void {
    process.stdout.write(`${text}\n`)
  }
}

/** A screen needs a terminal that moves its cursor, large enough for the Services. */
export function canDraw(): boolean {
  const { isTTY, columns, rows } = process.stdout
  return isTTY && process.env['TERM'] !== 'dumb' && columns >= 70 && rows >= 20
}

function hasColour(): boolean {
  const { NO_COLOR, TERM } = process.env
  return process.stdout.isTTY && (NO_COLOR ?? '') === '' && TERM !== 'dumb'
}
