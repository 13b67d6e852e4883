// @ts-check
// Brings Chromium for the browser tests where that can be done without asking: as root on Debian or Ubuntu (CI).
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/**
 * Installs the distribution's Chromium; its output goes to ours.
 * @returns {string | undefined} why it could not, in one line; undefined when it is there now.
 */
export function installChromium() {
  if (process.platform !== 'linux' || !existsSync('/usr/bin/apt-get')) return 'this is not Debian or Ubuntu'
  if (process.getuid?.() !== 0) return 'only root may install packages'
  // Lists may be absent in a fresh image, or old: the second try comes after an update.
  if (apt('install', '-y', '--no-install-recommends', 'chromium')) return undefined
  if (apt('update') && apt('install', '-y', '--no-install-recommends', 'chromium')) return undefined
  return 'apt-get install chromium failed'
}

/** @param {string[]} args */
function apt(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync('apt-get', args, { stdio: ['ignore', 'inherit', 'inherit'], env }).status === 0
}
