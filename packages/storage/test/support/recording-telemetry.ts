import type { Telemetry } from '@polyphony/core'

export interface Measurement {
  readonly name: string
  readonly value: number
  readonly labels: Readonly<Record<string, string>>
}

/** Keeps what it is told, for a test to look at. */
export class RecordingTelemetry implements Telemetry {
  readonly counts: Measurement[] = []
  readonly observations: Measurement[] = []

  count(name: string, value = 1, labels: Readonly<Record<string, string>> = {}): void {
    this.counts.push({ name, value, labels })
  }

  observe(name: string, value: number, labels: Readonly<Record<string, string>> = {}): void {
    this.observations.push({ name, value, labels })
  }

  gauge(): void {
    throw new Error('no gauge is expected')
  }
}
