import type { AgentSubscriber, RunAgentInput } from '@ag-ui/client'

export interface StateSubscriberParts {
  readonly input: RunAgentInput
  readonly state: () => unknown
  /** A hook wants another state. */
  readonly setState: (state: unknown) => void
  /** A state event has passed all hooks. */
  readonly onState: () => void
}

/**
 * The subscribers as the official reducer may see them. It copies the state for its hooks and applies deltas by copying it
 * once more; here it is given no state at all. The hooks are called with the state that the agent holds, and what they
 * return as state becomes an edit of the agent. State events themselves have been taken in already.
 */
export function stateSubscriber(
  subscribers: readonly AgentSubscriber[],
  parts: StateSubscriberParts,
): AgentSubscriber[] {
  const taken = (): { readonly stopPropagation: true } => {
    parts.onState()
    return { stopPropagation: true }
  }
  const last: AgentSubscriber = { onStateSnapshotEvent: taken, onStateDeltaEvent: taken }
  return [...subscribers.map((subscriber) => withState(subscriber, parts)), last]
}

type Hook = (params: Record<string, unknown>) => unknown

function withState(subscriber: AgentSubscriber, parts: StateSubscriberParts): AgentSubscriber {
  return new Proxy(subscriber, {
    get(target, name): unknown {
      const hook: unknown = Reflect.get(target, name)
      if (typeof hook !== 'function') return hook
      const isState = name === 'onStateSnapshotEvent' || name === 'onStateDeltaEvent'
      return async (params: Record<string, unknown>): Promise<unknown> => {
        const { input, state } = parts
        const mutation: unknown = await (hook as Hook).call(target, { ...params, input, state: state() })
        if (typeof mutation !== 'object' || mutation === null || isState) return undefined
        const { state: wanted, ...rest } = { state: undefined, ...mutation }
        if (wanted !== undefined) parts.setState(wanted)
        return rest
      }
    },
  })
}
