// @ts-check
// Brings Redis and PostgreSQL for the tests, where that can be done without asking: as root on Debian or Ubuntu (CI).
// `node scripts/install-services.mjs` does nothing when they are there, and says in one line why when it cannot.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const services = [
  {
    title: 'Redis',
    address: 'POLYPHONY_TEST_REDIS_URL',
    programs: ['redis-server', 'valkey-server'],
    package: 'redis-server',
  },
  {
    title: 'PostgreSQL',
    address: 'POLYPHONY_TEST_POSTGRES_URL',
    programs: ['postgres'],
    package: 'postgresql',
  },
]
/** What the tests use when it is there, and leave out with a word about it when it is not. */
const extras = [
  { programs: ['promtool'], package: 'prometheus' },
  { programs: ['pgbouncer'], package: 'pgbouncer' },
  // Debian 13 and Ubuntu 24.04 have it, older ones do not.
  { programs: ['valkey-server'], package: 'valkey-server' },
]
const postgresRoot = '/usr/lib/postgresql'
const policyFile = '/usr/sbin/policy-rc.d'

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problem = installServices()
  if (problem !== undefined) console.error(problem)
  process.exitCode = problem === undefined ? 0 : 1
}

/**
 * Installs those of the two that neither the environment nor the machine has; nothing is started.
 * @returns {string | undefined} why it could not, in one line; undefined when both can be had now.
 */
export function installServices() {
  installExtras()
  const missing = services.filter(isMissing)
  if (missing.length === 0) return undefined
  const wanted = missing.map(({ title }) => title).join(' and ')
  const help = `install ${missing.map(({ package: name }) => name).join(' and ')}, or set ${missing.map(({ address }) => address).join(' and ')}`
  if (!hasApt()) return `The tests need ${wanted}, and this is not Debian or Ubuntu: ${help}.`
  if (process.getuid?.() !== 0)
    return `The tests need ${wanted}, and only root may install packages: ${help}.`
  const packages = missing.map(({ package: name }) => name)
  // Lists may be absent in a fresh image, or old: the second try comes after an update.
  const ok = withoutStarting(() => install(packages) || (apt('update') && install(packages)))
  return ok && missing.every((service) => !isMissing(service))
    ? undefined
    : `The tests need ${wanted}, and apt-get install failed: ${help}.`
}

/** A try: without these, a few tests say that they were left out. */
function installExtras() {
  const missing = extras.filter(({ programs }) => !isInstalled(programs))
  if (missing.length === 0 || !hasApt() || process.getuid?.() !== 0) return
  // One by one, for a release may lack one of them.
  withoutStarting(() => missing.map(({ package: name }) => isKnown(name) && install([name])).every(Boolean))
}

function hasApt() {
  return process.platform === 'linux' && existsSync('/usr/bin/apt-get')
}

/** @param {typeof services[number]} service */
function isMissing({ address, programs }) {
  return (process.env[address] ?? '') === '' && !isInstalled(programs)
}

/** @param {string[]} programs */
function isInstalled(programs) {
  const versions = existsSync(postgresRoot) ? readdirSync(postgresRoot) : []
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/bin',
    '/usr/sbin',
    '/usr/local/bin',
    '/opt/homebrew/bin',
    ...versions.map((version) => join(postgresRoot, version, 'bin')),
  ]
  return programs.some((program) => folders.some((folder) => isExecutable(join(folder, program))))
}

/**
 * Debian starts what it installs; the tests bring servers of their own. The file is its way to say no.
 * @param {() => boolean} task
 */
function withoutStarting(task) {
  if (existsSync(policyFile)) return task()
  writeFileSync(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    return task()
  } finally {
    rmSync(policyFile, { force: true })
  }
}

/** @param {string[]} packages */
function install(packages) {
  return apt('install', '-y', '--no-install-recommends', ...packages)
}

/**
 * Whether this release has such a package.
 * @param {string} name
 */
function isKnown(name) {
  return spawnSync('apt-cache', ['show', name], { stdio: 'ignore' }).status === 0
}

/** @param {string[]} args */
function apt(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync('apt-get', args, { stdio: ['ignore', 'inherit', 'inherit'], env }).status === 0
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
