// How smoothly a timeline is drawn while 500 calls a second stream into it, and how smoothly 10,000 rows are scrolled. Those figures are
// printed, and nothing fails by them: they depend on what else the machine does. Rows have to come, and nothing may move by itself.
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { type Called, called, type Stream } from './calls';

const CALLS_PER_SECOND = 500;
const MEASURED_MS = 8000;
/** From here on it is said to be bad: <https://web.dev/articles/cls>. */
const SHIFT_MAX = 0.1;

let all: Called;
let page: Page;
let stream: Stream;

beforeAll(async () => {
  all = await called(CALLS_PER_SECOND, (number) => ({
    consumer: 'streamer',
    path: `/shop/items/${number % 3000}`,
    status: number % 20 === 0 ? 404 : 200,
  }));
  ({ page, stream } = all);
});
afterAll(() => all?.end());

interface Figures {
  frames: number;
  p50: number;
  p95: number;
  max: number;
  shifted: number;
}

/** Frames of so long a time: milliseconds from one to the next; and how much moved by itself. With `scrolled`, that is scrolled meanwhile. */
function measure(scrolled?: string): Promise<Figures> {
  return page.evaluate(
    async ([ms, label]) => {
      const element = label === undefined ? null : document.querySelector(`[aria-label="${label}"]`)!;
      let shifted = 0;
      const observer = new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as unknown as { value: number; hadRecentInput: boolean }[]) {
          if (!entry.hadRecentInput) shifted += entry.value;
        }
      });
      observer.observe({ type: 'layout-shift' });
      const took: number[] = [];
      const began = performance.now();
      for (let last = began; last - began < ms;) {
        const now = await new Promise<number>((resolve) => requestAnimationFrame(() => resolve(performance.now())));
        took.push(now - last);
        last = now;
        if (element) element.scrollTop += 120;
      }
      observer.disconnect();
      took.sort((one, other) => one - other);
      const at = (share: number) => Math.round(took[Math.min(Math.floor(took.length * share), took.length - 1)]!);
      return { frames: took.length, p50: at(0.5), p95: at(0.95), max: at(1), shifted };
    },
    [MEASURED_MS, scrolled] as const,
  );
}

function say(what: string, { frames, p50, p95, max, shifted }: Figures): void {
  const perSecond = (frames / MEASURED_MS) * 1000;
  console.log(
    `${what}: ${perSecond.toFixed(1)} frames a second; from one to the next ${p50} ms (median), ${p95} ms (95th percentile), ${max} ms (longest); layout shift: ${shifted.toFixed(3)}`,
  );
}

it('goes on with a timeline to which 500 calls a second come, and says how smoothly', async () => {
  await page.goto('/timeline?kind=consumer&entity=id-streamer&last=15m&follow=on');
  const rows = page.getByRole('rowgroup', { name: 'Calls: rows' });
  await rows.getByText('/shop/items/').first().waitFor();
  const newest = async () =>
    Date.parse((await rows.getByRole('row').first().locator('time').getAttribute('datetime'))!);
  const goesOn = async () => expect.poll(newest).toBeGreaterThan(await newest());
  await goesOn();
  const [before, sent] = [await newest(), stream.sent()];
  const figures = await measure();
  say(`a timeline to which ${stream.sent() - sent} calls were sent meanwhile`, figures);
  console.log(`its newest row went on by ${(await newest()) - before} ms`);
  await goesOn();
  expect(figures.shifted).toBeLessThan(SHIFT_MAX);
});

it('scrolls 10,000 rows while calls come, and says how smoothly', async () => {
  await expect.poll(stream.sent).toBeGreaterThan(12_000);
  const statement = 'SELECT event_time, status, path, consumer_id, client_ip, latency_total_ms FROM calls LIMIT 10000';
  const rowsThere = async () => {
    await page.goto(`/hunt/sql?statement=${encodeURIComponent(statement)}`);
    const answer = page.getByRole('status').filter({ hasText: / rows? · read / });
    await answer.waitFor();
    return answer.innerText();
  };
  // What was sent is in the lake a while later.
  await expect.poll(rowsThere, { timeout: 120_000 }).toMatch(/^10,000 rows/);
  const rows = page.getByRole('rowgroup', { name: 'Answer: rows' });
  expect(await rows.getByRole('row').count()).toBeLessThan(100);
  const figures = await measure('Answer: rows');
  say('scrolling 10,000 rows', figures);
  expect(await rows.evaluate((element) => element.scrollTop)).toBeGreaterThan(0);
  expect(figures.shifted).toBeLessThan(SHIFT_MAX);
});

it('had no fault in any of it', async () => {
  expect(all.faults).toEqual([]);
  await all.context.close();
});
