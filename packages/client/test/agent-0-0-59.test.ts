import { HttpAgent } from 'ag-ui-client-0-0-59'
import { expect, test, vi } from 'vitest'
import { PolyphonyAgent } from '../src/agent/index.ts'
import { agentSuite } from './agent-suite.ts'

// CopilotKit still comes with an older client; the agent is built on whichever is there.
vi.mock('@ag-ui/client', () => import('ag-ui-client-0-0-59'))

test('this is the older client', () => {
  expect(Object.getPrototypeOf(PolyphonyAgent)).toBe(HttpAgent)
})

agentSuite()
