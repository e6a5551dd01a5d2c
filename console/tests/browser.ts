// A real browser, and what every page has to keep to: nothing serious by axe, nothing that the page's policy forbids, nothing
// wider than the window.
import { createRequire } from 'node:module';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';

import { PASSWORD, type Running } from './outrider';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: FLAGS });
}

/** Nothing waits for longer than this by itself. It is for a machine that builds something else meanwhile: what comes ends the wait. */
const WAIT_MS = 90_000;

interface Look {
  width?: number;
  scheme?: 'dark' | 'light';
}

/** A window of its own, with what went wrong in it. */
export async function open(
  browser: Browser,
  { url }: Running,
  look: Look = {},
): Promise<{ page: Page; context: BrowserContext; faults: string[] }> {
  const context = await browser.newContext({
    viewport: { width: look.width ?? 1440, height: 900 },
    colorScheme: look.scheme ?? 'dark',
    baseURL: url,
  });
  context.setDefaultTimeout(WAIT_MS);
  await serveBuilt(context, url);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(`error in the page: ${error.message}`));
  page.on('console', (message) => {
    // A refusal that a page asks for and shows is in the console as well.
    if (message.type() !== 'error' || /Failed to load resource/.test(message.text())) return;
    const { url, lineNumber } = message.location();
    faults.push(`${message.text()} (on ${page.url()}, by ${url}:${lineNumber.toString()})`);
  });
  return { page, context, faults };
}

/** With `CONSOLE_DIST`, the files of that directory in the place of those that the binary has, under the policy that it sends. */
async function serveBuilt(context: BrowserContext, url: string): Promise<void> {
  const directory = process.env['CONSOLE_DIST'];
  if (!directory) return;
  const policy = (await fetch(url, { headers: { accept: 'text/html' } })).headers.get('content-security-policy')!;
  const isOfConsole = ({ pathname }: URL) => !pathname.startsWith('/api/');
  await context.route(isOfConsole, (route) => {
    const asked = join(directory, new URL(route.request().url()).pathname);
    const path = existsSync(asked) && statSync(asked).isFile() ? asked : join(directory, 'index.html');
    return route.fulfill({ path, headers: { 'content-security-policy': policy } });
  });
}

export async function signIn(page: Page, name: string): Promise<void> {
  await page.goto('/');
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').first().fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('navigation', { name: 'Main' }).waitFor();
}

interface Violation {
  id: string;
  impact: string | null;
  nodes: { html: string; failureSummary?: string }[];
}

/** Fails where a page has a serious fault for who cannot see or use a mouse, or where it is wider than its window. */
export async function check(page: Page, name: string): Promise<void> {
  // Not a script of the page: its policy would not let it run.
  await page.evaluate(axe);
  const violations = await page.evaluate(async () => {
    const run = (globalThis as unknown as { axe: { run: () => Promise<{ violations: Violation[] }> } }).axe.run;
    return (await run()).violations;
  });
  const serious = violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(
      ({ id, nodes }) =>
        `${id}: ${nodes
          .slice(0, 3)
          .map((node) => `${node.html.slice(0, 200)} ${node.failureSummary ?? ''}`)
          .join('\n  ')}`,
    );
  expect(serious, `${name}: axe`).toEqual([]);
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  expect(wide, `${name}: no wider than the window`).toBeLessThanOrEqual(window);
}
