/** A lock that one tab of an origin holds at a time: what the client uses of the Web Locks API. */
export interface TabLocks {
  /**
   * Runs `task` while holding the lock of that name; waits for it unless `ifAvailable`, which gives `null` instead. The
   * lock is free again when the task's promise settles, or when the tab is gone.
   */
  request(
    name: string,
    options: { readonly ifAvailable?: boolean; readonly signal?: AbortSignal },
    task: (lock: unknown) => Promise<void>,
  ): Promise<unknown>
}

/** Messages between the tabs of an origin: what the client uses of `BroadcastChannel`. Messages keep their order. */
export interface TabChannel {
  postMessage(message: unknown): void
  close(): void
}

/** What tabs share, beside the database. */
export interface TabPlatform {
  readonly locks: TabLocks
  openChannel(name: string, receive: (message: unknown) => void): TabChannel
}

/** What this browser offers; undefined where tabs cannot agree on a writer (no secure context, or not a browser). */
export function browserTabs(): TabPlatform | undefined {
  if (typeof window === 'undefined' || typeof BroadcastChannel === 'undefined') return undefined
  const { locks } = navigator as { readonly locks?: LockManager }
  if (locks === undefined) return undefined
  return {
    locks: { request: (name, options, task) => locks.request(name, options, task) },
    openChannel(name, receive) {
      const channel = new BroadcastChannel(name)
      channel.addEventListener('message', ({ data }) => receive(data))
      return channel
    },
  }
}

/**
 * What tabs with the same document tell each other. `tab` is who says it.
 *
 *   follower → join (what I have)         leader → state (what you lack, what of it is pending, what I have)
 *   follower → edit, content              what the leader lacks
 *   any → edit, numbered                  leader → stored (up to that number, durable in the database)
 *   any → ask (what I have)               whose edit came before what it builds on → edit, content
 *   new leader → lead                     others → join
 *   connected → committed                 for those whose own connection is down
 */
export type TabMessage =
  | {
      readonly type: 'join'
      readonly tab: string
      readonly stateVector: Uint8Array
      readonly online: boolean
    }
  | {
      readonly type: 'state'
      readonly tab: string
      readonly to: string
      readonly update: Uint8Array
      readonly pending: Uint8Array | undefined
      readonly stateVector: Uint8Array
    }
  | { readonly type: 'lead'; readonly tab: string }
  | { readonly type: 'edit'; readonly tab: string; readonly update: Uint8Array; readonly sequence: number }
  | { readonly type: 'ask'; readonly tab: string; readonly to: string; readonly stateVector: Uint8Array }
  | { readonly type: 'content'; readonly tab: string; readonly update: Uint8Array }
  | { readonly type: 'stored'; readonly tab: string; readonly to: string; readonly sequence: number }
  | { readonly type: 'committed'; readonly tab: string; readonly update: Uint8Array }
  | {
      readonly type: 'clocks-committed'
      readonly tab: string
      readonly clocks: readonly (readonly [number, number])[]
    }
  | { readonly type: 'online'; readonly tab: string; readonly online: boolean }
  | { readonly type: 'left'; readonly tab: string }
  | { readonly type: 'clear'; readonly tab: string }
  | { readonly type: 'cleared'; readonly tab: string }

/** Other versions of the page may be open in other tabs: what is not understood is left alone. */
export function isTabMessage(data: unknown): data is TabMessage {
  return (
    typeof data === 'object' &&
    data !== null &&
    'tab' in data &&
    typeof data.tab === 'string' &&
    'type' in data &&
    typeof data.type === 'string'
  )
}
