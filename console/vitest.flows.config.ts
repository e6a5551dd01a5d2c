import { defineConfig } from 'vitest/config';

// Flows run against a real outrider and in a real browser, one after the other: they share a machine.
export default defineConfig({
  test: {
    environment: 'node',
    include: ['tests/**/*.flow.ts'],
    fileParallelism: false,
    // They end waits for what never comes, and none for what is late: the machine may build something else meanwhile.
    testTimeout: 600_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 90_000 } },
    bail: 1,
  },
});
