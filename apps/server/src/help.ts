import { readFileSync } from 'node:fs'
import { importOptions, importSettings } from './import-options.ts'
import { optionNames, optionSpec, type OptionName } from './options.ts'
import { tokenOptions } from './token-options.ts'

const commands = {
  serve: 'Run a server',
  demo: 'Run a server with the example page, for a first look',
  token: 'Make a token for a server that has an auth secret',
  keys: 'Make keys for an encrypted store, and list the ids of a key ring',
  import: 'Bring documents of y-leveldb, y-redis or JSON into a store',
  restored: 'Say that a Redis or PostgreSQL was put back from a backup',
} as const

export type Command = keyof typeof commands

export function isCommand(text: string): text is Command {
  return Object.hasOwn(commands, text)
}

/** The version of this program, as its package.json has it. */
export function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : 'unknown'
}

/** What `polyphony help [command]` prints. */
export function helpOf(command: string | undefined): string {
  if (command === undefined || !isCommand(command)) return overview()
  switch (command) {
    case 'serve':
      return `polyphony serve [options]\n\n${commands.serve}. It prints JSON log lines; "msg":"listening" carries its url.\nSIGTERM and SIGINT stop it properly, a second one at once.\n\n${settingsHelp()}`
    case 'demo':
      return `polyphony demo [options]\n\n${commands.demo}. Takes the options of serve; the page is its site.\n\n${settingsHelp()}`
    case 'token':
      return `polyphony token --subject NAME --document PATTERN [options]\n\n${commands.token}. Prints the token (JWT, HS256).\n\n${table(
        tokenOptions.map(({ flag, value, meaning }) => [`--${flag} ${value}`, `${meaning}.`]),
      )}`
    case 'keys':
      return `polyphony keys generate [ID] [--append FILE]\npolyphony keys list FILE\n\n${commands.keys}.\n\n${table(
        [
          [
            'generate [ID]',
            'Prints a line for a key ring: an id and 32 random bytes. The id defaults to the date.',
          ],
          [
            '--append FILE',
            'Adds the line to a file, made readable by its owner only, instead of printing it.',
          ],
          ['list FILE', 'Prints the ids in a key ring, the primary (its first line) marked; never the keys.'],
        ],
      )}\n\nTo rotate: add a line at the end and give every node the file; then move that line to the top. What was\nwritten under older keys stays readable as long as their lines are there.`
    case 'restored':
      return `polyphony restored --store STORE [options]\n\n${commands.restored}: every document gets a new incarnation, so that\nversion tokens from after the backup are refused instead of standing for other content. Run it before the first server\nis started; running it again does no harm. A level: store notices by itself.\n\n${settingsHelp(importSettings)}`
    case 'import':
      return `polyphony import --from SOURCE --store STORE [options]\n\n${commands.import}. The source is only read; stop its server first, and that of the\nstore if it is level:. Running it again goes on where it ended, and changes nothing that is there.\n\n${table(
        importOptions.map(({ flag, value, meaning }) => [
          value === undefined ? `--${flag}` : `--${flag} ${value}`,
          `${meaning}.`,
        ]),
      )}\n\nSettings of the server that the store is for, so that both open it alike:\n\n${settingsHelp(importSettings)}`
  }
}

function overview(): string {
  const list = table(Object.entries(commands).map(([name, meaning]) => [name, `${meaning}.`]))
  return `polyphony COMMAND [options]\n\nPeople and AI agents on one durable document.\n\n${list}\n\n  polyphony help COMMAND and polyphony COMMAND --help say more; --version prints the version.`
}

function settingsHelp(names: readonly OptionName[] = optionNames): string {
  return table(
    names.map((name) => {
      const spec = optionSpec(name)
      const value = spec.default === undefined ? '' : ` Default: ${spec.default}.`
      const many = spec.many === undefined ? '' : ' May be repeated.'
      return [`--${spec.flag} ${spec.value}`, `${spec.meaning}.${many}${value} Also ${spec.env}.`]
    }),
  )
}

/** Two columns; the right one is wrapped to a terminal's width. */
function table(rows: readonly (readonly [string, string])[]): string {
  const left = Math.max(...rows.map(([name]) => name.length)) + 4
  const lines = rows.map(([name, text]) => {
    const [first = '', ...rest] = wrap(text, 100 - left)
    return [`  ${name}`.padEnd(left) + first, ...rest.map((line) => ' '.repeat(left) + line)].join('\n')
  })
  return lines.join('\n')
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = lines.at(-1)
    if (line !== undefined && line.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}
