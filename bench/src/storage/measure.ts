import { writeSync } from 'node:fs'
import { appendLoad } from './append-load.ts'
import { loadLarge, saveLarge } from './large-load.ts'
import { ourSubjects } from './our-subjects.ts'
import { peerSubjects } from './peer-subjects.ts'
import type { Task } from './task.ts'

// One measurement in a process of its own: the task as JSON in, the figures as JSON out.
const task = JSON.parse(process.argv[2] ?? '') as Task
const open = { ...ourSubjects, ...peerSubjects }[task.subject]
if (open === undefined) throw new Error(`There is no "${task.subject}"`)
const subject = await open(task.place)
const figures: unknown =
  task.kind === 'append'
    ? await appendLoad(subject, task.load)
    : task.kind === 'save'
      ? await saveLarge(subject, task.file)
      : await loadLarge(subject, task.bytes)
if (task.kind === 'save') await subject.close()
writeSync(1, JSON.stringify(figures))
// Whatever of it still waits.
process.exit()
