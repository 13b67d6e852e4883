import type { Principal } from './authorization.ts'

/** Where a feed writes its frames, which come as `text/event-stream` has them. */
export interface FeedOutlet {
  /** Sends a frame. `false`: send no more until the outlet has drained. */
  write(frame: Uint8Array): boolean
  /** Ends the feed properly, after `frame`. */
  end(frame?: Uint8Array): void
}

/** A reader's connection, whatever it is. */
export interface FeedCarrier {
  readonly principal: Principal
  /** Resolves when the feed has ended, or its reader has gone. */
  readonly over: Promise<void>
  readonly isGone: () => boolean
  /** Begins to answer. What goes wrong before that can still be refused in the connection's own way. */
  readonly open: (onDrain: () => void) => FeedOutlet
}
