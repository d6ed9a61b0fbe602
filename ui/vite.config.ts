import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vite'

const server = process.env.ASSAY_URL ?? 'http://127.0.0.1:8000'

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    outDir: 'dist',
    // A data: URL in a stylesheet would need another exception in the content security policy.
    assetsInlineLimit: 0,
    // The chart chunk carries Vega and is loaded only when a chart is shown.
    chunkSizeWarningLimit: 1200,
  },
  server: { proxy: { '/api': server, '/health': server, '/docs': server } },
})
