import { Author } from './author.ts'
import { addCensus, countWords, emptyCensus, takeCensus, type Census } from './census.ts'
import type { Contender } from './contender.ts'
import { KillableServer } from './killable-server.ts'
import { seededRandom, type Random } from './random.ts'
import { until } from './until.ts'

export interface ExperimentOptions {
  readonly contender: Contender
  readonly rounds: number
  /** Who type at once, and leave when the server dies. */
  readonly authors: number
  /** Pages they are spread over. */
  readonly documents: number
  readonly seed: number
  /** Begins the names of the pages. A store that already has them makes the count wrong. */
  readonly name: string
  readonly onProgress?: ((progress: Progress) => void) | undefined
  readonly onRound?: ((round: Round) => void) | undefined
}

/** While people type. */
export interface Progress {
  readonly round: number
  readonly typed: number
  readonly acknowledged: number
}

/** After a kill and a new start. All numbers are of all rounds so far. */
export interface Round {
  readonly round: number
  readonly typed: number
  /** What the server had acknowledged to authors who have left. Only its store can have that. */
  readonly acknowledged: Census
  /** Everything that those typed who stayed, acknowledged or not: their editors bring it back. */
  readonly stayed: Census
  readonly restartMs: number
}

const stayers = 2
/** A round goes on until so many words of each author are acknowledged, and up to four times as many. */
const wordsMin = 10

/**
 * Lets people type, kills the server at a moment drawn from the seed, starts it again, and counts what a newcomer finds;
 * and so on. Those on the first pages leave with the kill, those on the last one stay and reconnect. Resolves with the
 * last round.
 */
export async function runExperiment(options: ExperimentOptions): Promise<Round> {
  const { contender, rounds, name, onRound } = options
  const random = seededRandom(options.seed)
  const server = await KillableServer.start(contender)
  const pages = Array.from({ length: options.documents }, (_, index) => new Page(`${name}-${index + 1}`))
  const lasting = new Page(`${name}-stay`)
  try {
    lasting.join(server.url, 'stay', stayers, random)
    let last: Round | undefined
    for (let round = 1; round <= rounds; round++) {
      pages.forEach((page, index) =>
        page.join(server.url, `r${round}`, shareOf(options.authors, options.documents, index), random),
      )
      await typeAWhile(round, [...pages, lasting], options, random)
      await server.kill()
      for (const page of pages) page.leave()
      const restartMs = await server.restart()
      last = await count(round, pages, lasting, server, restartMs)
      onRound?.(last)
    }
    if (last === undefined) throw new Error('An experiment has at least one round.')
    return last
  } finally {
    for (const page of [...pages, lasting]) page.leave()
    await server.kill()
  }
}

/** One document, who is typing in it, and what was typed so far by those who have left. */
class Page {
  readonly documentId: string
  readonly #present: Author[] = []
  #typedBefore = 0
  readonly #acknowledgedBefore = new Set<string>()

  constructor(documentId: string) {
    this.documentId = documentId
  }

  get present(): readonly Author[] {
    return this.#present
  }

  get typed(): number {
    return this.#typedBefore + this.#present.reduce((sum, { typed }) => sum + typed.length, 0)
  }

  get acknowledged(): ReadonlySet<string> {
    return new Set([
      ...this.#acknowledgedBefore,
      ...this.#present.flatMap(({ acknowledged }) => acknowledged),
    ])
  }

  join(url: string, group: string, authors: number, random: Random): void {
    for (let n = 1; n <= authors; n++) {
      const { documentId } = this
      const author = new Author({ name: `${documentId}-${group}-${n}`, url, documentId, random })
      this.#present.push(author)
      author.type()
    }
  }

  leave(): void {
    for (const author of this.#present.splice(0)) {
      this.#typedBefore += author.typed.length
      for (const word of author.acknowledged) this.#acknowledgedBefore.add(word)
      author.leave()
    }
  }
}

async function typeAWhile(
  round: number,
  pages: readonly Page[],
  { authors, onProgress }: ExperimentOptions,
  random: Random,
): Promise<void> {
  const progress = (): Progress => ({
    round,
    typed: pages.reduce((sum, { typed }) => sum + typed, 0),
    acknowledged: pages.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0),
  })
  const goal = progress().acknowledged + Math.ceil(authors * wordsMin * (1 + 3 * random()))
  await until('people to type', () => {
    const now = progress()
    onProgress?.(now)
    return now.acknowledged >= goal
  })
}

async function count(
  round: number,
  pages: readonly Page[],
  lasting: Page,
  { url }: KillableServer,
  restartMs: number,
): Promise<Round> {
  let acknowledged = emptyCensus
  for (const { documentId, acknowledged: expected } of pages)
    acknowledged = addCensus(acknowledged, takeCensus(expected, await countWords(url, documentId)))
  for (const author of lasting.present) author.rest()
  await until('those who stayed to be done', () =>
    lasting.present.every(({ typed, acknowledged }) => acknowledged.length === typed.length),
  )
  const stayed = takeCensus(
    lasting.present.flatMap(({ typed }) => typed),
    await countWords(url, lasting.documentId),
  )
  for (const author of lasting.present) author.type()
  const typed = pages.reduce((sum, page) => sum + page.typed, 0)
  return { round, typed, acknowledged, stayed, restartMs }
}

/** How many of `people` come to the page with this index, when they spread evenly. */
function shareOf(people: number, pages: number, index: number): number {
  return Math.floor(people / pages) + (index < people % pages ? 1 : 0)
}
