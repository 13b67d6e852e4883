/** An upstream AG-UI agent that the gateway runs. Only the operator names its address. */
export interface AgentOptions {
  /** Where it takes a `RunAgentInput`; redirects are not followed. */
  readonly url: string
  /** Sent with every request, such as an `authorization`; never logged. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Patterns of the documents in which it may run; `*` stands for anything but `/`, `**` for anything. Default: all. */
  readonly documents?: readonly string[] | undefined
  /** Until it answers. Default 30,000. */
  readonly connectTimeoutMs?: number | undefined
  /** Longest silence of its stream; comments count. Default 120,000. */
  readonly idleTimeoutMs?: number | undefined
  /** From its request to the end of its run. Default 600,000. */
  readonly timeoutMs?: number | undefined
  /** What happens when the caller goes: `continue` (default), as the document keeps what comes, or `cancel`. */
  readonly onDisconnect?: 'continue' | 'cancel' | undefined
}
