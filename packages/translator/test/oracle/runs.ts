/** Whether the long tier runs: `POLYPHONY_SOAK=1`. */
export const soak = process.env.POLYPHONY_SOAK === '1'

/** How often a property is tried: `short` times, twenty times as often in the long tier. */
export function runs(short: number): number {
  return soak ? short * 20 : short
}
