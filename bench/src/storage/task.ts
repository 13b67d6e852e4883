import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { AppendFigures, AppendLoad } from './append-load.ts'
import type { LoadFigures, SaveFigures } from './large-load.ts'
import type { Place } from './subject.ts'

interface Target {
  readonly subject: string
  readonly place: Place
}
export interface AppendTask extends Target {
  readonly kind: 'append'
  readonly load: AppendLoad
}
export interface SaveTask extends Target {
  readonly kind: 'save'
  readonly file: string
}
export interface LoadTask extends Target {
  readonly kind: 'load'
  readonly bytes: number
}
export type Task = AppendTask | SaveTask | LoadTask

const program = fileURLToPath(new URL('./measure.js', import.meta.url))
const run = promisify(execFile)

/** Carries a task out in a process of its own, so that none has another's memory or compiled code. */
export function runTask(task: AppendTask): Promise<AppendFigures>
export function runTask(task: SaveTask): Promise<SaveFigures>
export function runTask(task: LoadTask): Promise<LoadFigures>
export async function runTask(task: Task): Promise<unknown> {
  const { stdout } = await run(process.execPath, ['--expose-gc', program, JSON.stringify(task)], {
    timeout: 120_000,
  })
  return JSON.parse(stdout)
}
