import { defineConfig } from 'vitest/config';

// Flows run against a real outrider and in a real browser, one after the other: they share a machine.
export default defineConfig({
  test: {
    environment: 'node',
    include: ['tests/**/*.flow.ts'],
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 240_000,
    expect: { poll: { timeout: 15_000 } },
    bail: 1,
  },
});
