/** Where measurements go. Names and labels are listed in the metrics reference; label values are bounded sets. */
export interface Telemetry {
  /** Adds to a counter. */
  count(name: string, value?: number, labels?: Readonly<Record<string, string>>): void
  /** Records one observation (milliseconds, bytes or a size, as the name says). */
  observe(name: string, value: number, labels?: Readonly<Record<string, string>>): void
  /** Moves a gauge by `delta`. */
  gauge(name: string, delta: number, labels?: Readonly<Record<string, string>>): void
}

export const silentTelemetry: Telemetry = {
  count: () => undefined,
  observe: () => undefined,
  gauge: () => undefined,
}
