import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// The built files go into the binary and are served under a strict Content-Security-Policy: nothing inline, no data URLs.
export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    // scripts/build.mjs empties it; `.gitignore` in there stays.
    emptyOutDir: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: {
    host: '127.0.0.1',
    proxy: { '/api': { target: process.env['OUTRIDER'] ?? 'http://127.0.0.1:9580' } },
  },
  test: {
    // A machine that builds something else meanwhile is slow, and no test is there to say so.
    testTimeout: 60_000,
    environment: 'jsdom',
    include: ['src/**/*.test.{ts,tsx}'],
  },
});
