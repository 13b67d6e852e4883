export { EventType, type Event as AgentEvent, type Message } from '@ag-ui/core'
export { AgentEventReader } from './agent-event-reader.ts'
export { ChunkExpander } from './chunk-expander.ts'
export {
  messagesRoot,
  readConversation,
  readMessage,
  runsRoot,
  type ConversationEntry,
  type MessageStatus,
  type StoredMessage,
  type StoredToolCall,
  type ToolCallStatus,
} from './conversation.ts'
export { writeMessages, type MessageOrigin } from './conversation-writer.ts'
export { FeedReader, type Delivery, type FeedTarget, type HeldVersion } from './feed-reader.ts'
export {
  defaultPace,
  idlePace,
  stepPace,
  type PaceEffect,
  type PaceInput,
  type PaceOptions,
  type PaceState,
} from './flush-pace.ts'
export { FrameList, type Frame, type FrameMemory } from './frame-list.ts'
export { cutPatch, escapePointer, leastJsonLength, utf8Length } from './json-pieces.ts'
export {
  defaultRepair,
  startRepair,
  stepRepair,
  type RepairEffect,
  type RepairInput,
  type RepairOptions,
  type RepairState,
} from './repair-schedule.ts'
export { ConversationMirror } from './conversation-mirror.ts'
export { closingEvents, messageEvents, type HeldMessages, type MessageEvents } from './message-events.ts'
export { MessageFeed, type MessageFeedParts, type MessageSubscription } from './message-feed.ts'
export { mergeHistory } from './message-history.ts'
export {
  endRun,
  endSilentRuns,
  markStep,
  readRun,
  readRuns,
  requestCancel,
  startRun,
  touchRun,
  type RunEnd,
  type RunStatus,
  type StoredRun,
} from './run-record.ts'
export { coalesceEdits, type MessageEdit } from './message-edit.ts'
export { checkEdits, checkId } from './message-limits.ts'
export { answerOf, MessageFold } from './message-fold.ts'
export { RunChecker, type CheckedEvent } from './run-checker.ts'
export {
  encodeCustom,
  encodeRunError,
  encodeRunFinished,
  encodeRunStarted,
  type RunIds,
} from './run-event.ts'
export { parseRunInput, passedOnInput, type RunInput } from './run-input.ts'
export { encodeSse, encodeSseRetry, sseKeepAlive, type SseEvent } from './sse.ts'
export {
  encodeDeltaEvent,
  encodeSnapshotEvent,
  encodeSpliceEvent,
  spliceEventName,
  type StateStamp,
} from './state-event.ts'
export {
  defaultFeedOptions,
  StateFeed,
  type FeedOptions,
  type FeedParts,
  type FeedSource,
  type FeedSubscription,
} from './state-feed.ts'
export { patchFrames, type FrameContext } from './state-frames.ts'
export { SnapshotMemory } from './snapshot-memory.ts'
export { snapshotFrames } from './snapshot-writer.ts'
