const data = Buffer.from('data: ')

/**
 * The JSON texts of the events in frames of a `text/event-stream` that `encodeSse` made, as parts of the same bytes:
 * nothing is copied. Comments are no events.
 */
export function* eventTexts(frames: Uint8Array): Generator<Uint8Array> {
  const bytes = Buffer.from(frames.buffer, frames.byteOffset, frames.byteLength)
  for (let at = 0; at < bytes.length;) {
    // JSON has no line ends, so the first empty line ends the frame.
    const end = bytes.indexOf('\n\n', at)
    const stop = end < 0 ? bytes.length : end
    const found = bytes.indexOf(data, at)
    const isLineStart = found === at || bytes[found - 1] === 0x0a
    if (found >= 0 && found < stop && isLineStart) yield bytes.subarray(found + data.length, stop)
    at = stop + 2
  }
}
