export { FeedReader, type FeedTarget, type HeldVersion } from './feed-reader.ts'
export {
  defaultPace,
  idlePace,
  stepPace,
  type PaceEffect,
  type PaceInput,
  type PaceOptions,
  type PaceState,
} from './flush-pace.ts'
export { FrameList, type Frame } from './frame-list.ts'
export { cutPatch, escapePointer, leastJsonLength, stringifyWithin, utf8Length } from './json-pieces.ts'
export {
  defaultRepair,
  startRepair,
  stepRepair,
  type RepairEffect,
  type RepairInput,
  type RepairOptions,
  type RepairState,
} from './repair-schedule.ts'
export { RunChecker, type CheckedEvent } from './run-checker.ts'
export {
  encodeCustom,
  encodeRunError,
  encodeRunFinished,
  encodeRunStarted,
  type RunIds,
} from './run-event.ts'
export { parseRunInput, type RunInput } from './run-input.ts'
export { encodeSse, encodeSseRetry, sseKeepAlive, type SseEvent } from './sse.ts'
export { encodeDeltaEvent, encodeSnapshotEvent, type StateStamp } from './state-event.ts'
export {
  defaultFeedOptions,
  StateFeed,
  type FeedOptions,
  type FeedParts,
  type FeedSource,
  type FeedSubscription,
} from './state-feed.ts'
export { patchFrames, snapshotFrames, type FrameContext } from './state-frames.ts'
