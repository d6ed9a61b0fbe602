import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig, type Plugin } from 'vite'

const server = process.env.ASSAY_URL ?? 'http://127.0.0.1:8000'

/** Puts a packed copy beside each text, so that the server need not pack what never changes. */
function packed(): Plugin {
  return {
    name: 'packed',
    apply: 'build',
    closeBundle() {
      for (const entry of readdirSync('dist', { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name)
        if (entry.isFile() && /\.(js|css|html|svg)$/.test(path)) {
          writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }))
        }
      }
    },
  }
}

export default defineConfig({
  plugins: [svelte(), packed()],
  build: {
    target: 'es2022',
    outDir: 'dist',
    // A data: URL in a stylesheet would need another exception in the content security policy.
    assetsInlineLimit: 0,
    // The chart chunk carries Vega and is loaded only when a chart is shown.
    chunkSizeWarningLimit: 1200,
    rolldownOptions: {
      input: { index: 'index.html', 'assay-ask': 'src/embed/assay-ask.ts' },
      // Other sites name the element's script, so its name does not change with its content.
      output: { entryFileNames: ({ name }) => (name === 'assay-ask' ? 'embed/[name].js' : 'assets/[name]-[hash].js') },
    },
  },
  server: { proxy: { '/api': server, '/health': server, '/docs': server } },
})
