import type { Bus } from '../index.ts'
import { eventually, expectEqual, expectRejection } from './expectations.ts'

/** One test of the `Bus` contract. `connect` opens another end of one bus; all are closed after the test. */
export interface BusContractTest {
  readonly id: string
  readonly title: string
  run(connect: () => Promise<Bus>): Promise<void>
}

/** The lossy bus: a loss is allowed, so each test publishes until the message has come through. */
export const busContractTests: readonly BusContractTest[] = [
  {
    id: 'bus-deliver',
    title: 'bus: a message reaches every subscriber of its topic, the own end included, byte for byte',
    async run(connect) {
      const [here, there] = [await connect(), await connect()]
      const inboxes = await Promise.all([here, there, there].map((bus) => listen(bus, 'topic')))
      const message = Uint8Array.from({ length: 256 }, (_, byte) => byte)
      await publishUntil(here, 'topic', message, () => inboxes.every(({ messages }) => messages.length > 0))
      for (const { messages } of inboxes) expectEqual(messages[0], message, 'message')
    },
  },
  {
    id: 'bus-topics',
    title: 'bus: topics are apart, also when one begins like another or looks like a pattern',
    async run(connect) {
      const [here, there] = [await connect(), await connect()]
      const topics = ['a', 'ab', 'a*', 'a?', '*', 'a/b', '日本', "it's"]
      const inboxes = await Promise.all(topics.map((topic) => listen(there, topic)))
      for (const [index, topic] of topics.entries())
        await publishUntil(
          here,
          topic,
          new TextEncoder().encode(topic),
          () => inboxes[index]?.messages.length !== 0,
        )
      for (const [index, topic] of topics.entries()) {
        const texts = new Set(inboxes[index]?.messages.map((message) => new TextDecoder().decode(message)))
        expectEqual([...texts], [topic], `what ${topic} hears`)
      }
    },
  },
  {
    id: 'bus-unsubscribe',
    title: 'bus: after unsubscribing nothing arrives; other listeners stay',
    async run(connect) {
      const bus = await connect()
      const leaving = await listen(bus, 'topic')
      const staying = await listen(bus, 'topic')
      await publishUntil(bus, 'topic', new Uint8Array([1]), () => leaving.messages.length > 0)
      await leaving.unsubscribe()
      const heard = leaving.messages.length
      staying.messages.length = 0
      await publishUntil(bus, 'topic', new Uint8Array([2]), () =>
        staying.messages.some(([byte]) => byte === 2),
      )
      expectEqual(leaving.messages.length, heard, 'messages of the one that left')
    },
  },
  {
    id: 'bus-close',
    title: 'bus: a closed end hears and says nothing; closing twice is harmless',
    async run(connect) {
      const [closing, other] = [await connect(), await connect()]
      const inbox = await listen(closing, 'topic')
      const witness = await listen(other, 'topic')
      await closing.close()
      await closing.close()
      closing.publish('topic', new Uint8Array([9]))
      await publishUntil(other, 'topic', new Uint8Array([1]), () => witness.messages.length > 0)
      expectEqual(inbox.messages, [], 'what the closed end hears')
      expectEqual(
        witness.messages.some(([byte]) => byte === 9),
        false,
        'the closed end is heard',
      )
      await expectRejection(
        closing.subscribe('topic', () => undefined),
        'store-closed',
        'subscribe after close',
      )
    },
  },
]

async function listen(bus: Bus, topic: string) {
  const messages: Uint8Array[] = []
  const unsubscribe = await bus.subscribe(topic, (message) => {
    messages.push(message)
  })
  return { messages, unsubscribe }
}

async function publishUntil(
  bus: Bus,
  topic: string,
  message: Uint8Array,
  arrived: () => boolean,
): Promise<void> {
  await eventually(() => {
    if (arrived()) return true
    bus.publish(topic, message)
    return false
  }, `a message on ${topic} arrives`)
}
