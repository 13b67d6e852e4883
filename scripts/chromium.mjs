// @ts-check
// Where the browser tests find a Chromium. They take what the machine has; nothing is downloaded at test time.
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const names = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome']
const places = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]

/**
 * The path of a Chromium or Chrome: `POLYPHONY_CHROMIUM`, else a known name on the PATH, else a known place.
 * @returns {string | undefined}
 */
export function findChromium() {
  const chosen = process.env['POLYPHONY_CHROMIUM']
  if (chosen !== undefined && chosen !== '') return isExecutable(chosen) ? chosen : undefined
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const candidates = names.flatMap((name) => folders.map((folder) => join(folder, name)))
  return [...candidates, ...places].find(isExecutable)
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
