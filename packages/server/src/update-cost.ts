/** About what it costs to take in an update of so many bytes, in microseconds; for work that is done in slices. */
export function updateCostUs(bytes: number): number {
  return 10 + bytes / 10
}
