import { CopilotKitCore } from '@copilotkit/core'
import { PolyphonyAgent } from '@polyphony/client/agent'
import { HttpAgent } from 'ag-ui-client-0-0-59'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { until } from '../../../../packages/server/test/support/editor.ts'
import { send, startServer, type TestServer } from '../../../../packages/server/test/support/http.ts'

type Agent = ConstructorParameters<typeof CopilotKitCore>[0]['agents__unsafe_dev_only'] extends
  | Record<string, infer A>
  | undefined
  ? A
  : never

let server: TestServer
const address = (): string => server.address('plan', '/ag-ui')
const read = async (): Promise<unknown> => (await send('GET', server.address('plan'))).body

/** CopilotKit bundles an older client than ours; what it needs of an agent is the same. */
const asAgent = (agent: object): Agent => agent as unknown as Agent

function open(agent: object, properties: Record<string, unknown> = {}) {
  const errors: unknown[] = []
  const core = new CopilotKitCore({ agents__unsafe_dev_only: { plan: asAgent(agent) }, properties })
  core.subscribe({ onError: ({ error }) => void errors.push(error) })
  return { core, errors }
}

beforeEach(async () => {
  server = await startServer()
  await send('PUT', server.address('plan'), { json: { title: 'Plan', tasks: [{ id: 1, done: false }] } })
})

afterEach(() => server.close())

test('with PolyphonyAgent it watches a document, changes it in between, and runs', async () => {
  const plan = new PolyphonyAgent({ agentId: 'plan', url: address(), mode: 'sync' })
  const { core, errors } = open(plan)
  const seen: unknown[] = []
  plan.subscribe({ onStateChanged: ({ state }) => void seen.push(state) })
  expect(core.getAgent('plan')).toBe(plan)
  const connected = core.connectAgent({ agent: asAgent(plan) })
  await until('the state', () => plan.version !== undefined)
  expect(plan.state).toEqual(await read())
  await send('PATCH', server.address('plan'), { patch: [{ op: 'add', path: '/theirs', value: 1 }] })
  await until('the change of others', () => (plan.state as { theirs?: number }).theirs === 1)
  plan.setState({ ...(plan.state as object), tasks: [{ id: 1, done: true }] })
  await plan.flush()
  expect(await read()).toEqual({ title: 'Plan', tasks: [{ id: 1, done: true }], theirs: 1 })
  expect(seen.at(-1)).toBe(plan.state)
  // A run takes the place of what was watched, and ends.
  plan.setState({ ...(plan.state as object), title: 'New' })
  await core.runAgent({ agent: asAgent(plan) })
  await connected
  expect(await read()).toEqual({ title: 'New', tasks: [{ id: 1, done: true }], theirs: 1 })
  // Connecting to another thread begins with an empty state; the document stays.
  plan.threadId = 'another'
  const again = core.connectAgent({ agent: asAgent(plan) })
  await until('the state', () => (plan.state as { title?: string }).title === 'New')
  expect(await read()).toEqual({ title: 'New', tasks: [{ id: 1, done: true }], theirs: 1 })
  plan.abortRun()
  await again
  expect(errors).toEqual([])
})

test('with the stock HttpAgent it reads by runs, and what it changed against a version is merged', async () => {
  const plan = new HttpAgent({ agentId: 'plan', url: address() })
  let version: string | undefined
  plan.subscribe({
    onEvent: ({ event }) => {
      version =
        (event as { metadata?: { polyphony?: { version?: string } } }).metadata?.polyphony?.version ?? version
    },
  })
  const { core, errors } = open(plan, { polyphony: { mode: 'sync' } })
  await core.runAgent({ agent: asAgent(plan) })
  expect(plan.state).toEqual(await read())
  await send('PATCH', server.address('plan'), { patch: [{ op: 'add', path: '/theirs', value: 1 }] })
  plan.setState({ title: 'Mine', tasks: [{ id: 1, done: true }] })
  await core.runAgent({ agent: asAgent(plan), forwardedProps: { polyphony: { mode: 'sync', version } } })
  const merged = { title: 'Mine', tasks: [{ id: 1, done: true }], theirs: 1 }
  expect(plan.state).toEqual(merged)
  expect(await read()).toEqual(merged)
  expect(errors).toEqual([])
})
