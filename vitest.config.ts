import { defineConfig } from 'vitest/config'
import { findChromium } from './scripts/chromium.mjs'

// Tests run from source: the condition below makes `@polyphony/*` resolve to `src/index.ts`.
// `import` and `require` are added where they apply; named here, CommonJS packages would be given the wrong file.
const conditions = ['@polyphony/source', 'node']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ['{packages,apps,apps/examples}/*/{src,test}/**/*.test.ts'],
    env: { POLYPHONY_CHROMIUM: findChromium() ?? '' },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
})
