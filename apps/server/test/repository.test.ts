import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const files = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
  .split('\0')
  .filter((path) => path !== '' && existsSync(join(root, path)))

describe('the repository', () => {
  it('checks every TypeScript file', () => {
    // What no project includes, tsc does not see, and the type-aware lint only half.
    const config = ts.getParsedCommandLineOfConfigFile(
      join(root, 'tsconfig.json'),
      {},
      {
        ...ts.sys,
        onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
          throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, ' '))
        },
      },
    )
    const checked = new Set(config?.fileNames)
    const unchecked = files.filter((path) => /\.m?ts$/.test(path) && !checked.has(join(root, path)))
    expect(unchecked).toEqual([])
  })

  it('explains every package and licenses it', () => {
    const manifests = files.filter((path) => /^(packages|apps)\/.*package\.json$/.test(path))
    expect(manifests.length).toBeGreaterThan(5)
    for (const path of manifests) {
      const manifest = JSON.parse(readFileSync(join(root, path), 'utf8')) as Record<string, unknown>
      expect(manifest, path).toMatchObject({ license: 'MIT', type: 'module' })
      expect(manifest['description'], path).toBeTypeOf('string')
      expect(files, `${path} has no README beside it`).toContain(join(dirname(path), 'README.md'))
    }
  })

  it('pins every dependency, and Yjs once', () => {
    // What is installed by itself, outside of the workspace, cannot name the catalog: it has to agree with it.
    const outside = ['bench/peers/package.json']
    const catalogued = /^ {2}yjs: (.+)$/m.exec(readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8'))?.[1]
    expect(catalogued).toMatch(/^\d/)
    const manifests = files.filter((path) => path.endsWith('package.json'))
    for (const path of manifests) {
      const { dependencies = {}, devDependencies = {} } = JSON.parse(
        readFileSync(join(root, path), 'utf8'),
      ) as Record<string, Record<string, string> | undefined>
      for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
        expect(version, `${path}: ${name}`).toMatch(
          /^(catalog:|workspace:\*|(npm:@?[\w/-]+@)?\d+\.\d+\.\d+(-[\w.]+)?)$/,
        )
        if (name === 'yjs') expect(version, path).toBe(outside.includes(path) ? catalogued : 'catalog:')
      }
    }
  })
})
