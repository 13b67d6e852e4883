import { defineConfig } from 'vite'

export default defineConfig({
  // The page is served by the server itself, wherever that may be mounted.
  base: './',
  build: {
    target: 'es2022',
    outDir: 'dist/page',
    sourcemap: false,
    // No inlined assets: the server's content security policy names files only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
})
