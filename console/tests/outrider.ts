// A real outrider, started by the tests on loopback: the demo with its practice gateway, or one that is new and empty.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const BINARY = process.env['OUTRIDER_BINARY'] ?? 'outrider';
export const PASSWORD = 'a password of the tests';

export interface Running {
  url: string;
  /** What it said so far. */
  said: () => string;
  /** Waits until it says something. */
  says: (text: string, waitMs?: number) => Promise<void>;
  addPerson: (name: string, role: string) => void;
  setupToken: () => string;
  stop: () => Promise<void>;
}

async function started(args: string[], directory: string, config: string, urlIn: RegExp): Promise<Running> {
  const child: ChildProcess = spawn(BINARY, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout?.on('data', (data: Buffer) => (text += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (text += data.toString()));
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  const until = async (found: () => boolean, waitMs: number, what: string) => {
    const deadline = Date.now() + waitMs;
    while (!found()) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`outrider did not say ${what}:\n${text}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  await until(() => urlIn.test(text), 180_000, String(urlIn));
  return {
    url: `http://${urlIn.exec(text)![1]!}`,
    said: () => text,
    says: (words, waitMs = 240_000) => until(() => text.includes(words), waitMs, words),
    addPerson: (name, role) => {
      execFileSync(BINARY, ['person', 'create', name, '--role', role, '--config', config], { input: `${PASSWORD}\n` });
    },
    setupToken: () => readFileSync(join(directory, 'data', 'setup-token'), 'utf8').trim(),
    stop: async () => {
      child.kill('SIGINT');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function place(more: string): { directory: string; config: string; data: string } {
  const directory = mkdtempSync(join(tmpdir(), 'outrider-console-'));
  const config = join(directory, 'outrider.toml');
  const data = join(directory, 'data');
  writeFileSync(config, `data_dir = ${JSON.stringify(data)}\n${more}`);
  return { directory, config, data };
}

/** The demo: it learns for two minutes, then attacks. */
export function demo(): Promise<Running> {
  const { directory, config, data } = place('');
  return started(['demo', '--data-dir', data], directory, config, /outrider's API at http:\/\/([\d.:]+)/);
}

/** One that nobody has used yet. `source` is said of where the calls come in, `more` of anything else, as the configuration has it. */
export function fresh({ source = '', more = '' } = {}): Promise<Running> {
  const { directory, config } = place(
    `[api]\nlisten = "127.0.0.1:0"\n[[collector.sources]]\nkind = "kong_tcp_log"\ngateway = "kong"\nlisten = "127.0.0.1:0"\n${source}\n${more}`,
  );
  return started(['run', '--config', config], directory, config, /api["=: ]+([\d.]+:\d+)/);
}
