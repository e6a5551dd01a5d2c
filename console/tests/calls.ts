// Calls as Kong's TCP Log plugin writes them, for an outrider that has no gateway.
import { connect, type Socket } from 'node:net';

import type { Browser } from 'playwright-core';

import { launch, open, signIn } from './browser';
import { fresh, type Running } from './outrider';

export interface Made {
  /** Nobody where it does not say who. */
  consumer?: string;
  service?: string;
  path: string;
  status?: number;
  address?: string;
  cookie?: string;
  scheme?: 'http' | 'https';
}

/** The line of one call that is over now. */
export function line(number: number, made: Made): string {
  const { consumer, service = 'shop', path, status = 200, address = '198.51.100.7', cookie, scheme = 'https' } = made;
  return JSON.stringify({
    request: {
      id: `r-${consumer ?? ''}-${number}`,
      method: 'GET',
      uri: path,
      url: `${scheme}://shop.example${path}`,
      size: 120,
      querystring: {},
      headers: {
        host: 'shop.example',
        'user-agent': 'flow',
        ...(consumer && { apikey: `key-${consumer}` }),
        ...(cookie && { cookie }),
      },
    },
    response: { status, size: 300 + (number % 700), headers: { 'content-type': 'application/json' } },
    latencies: { request: 3, kong: 1, proxy: 2, receive: 0 },
    client_ip: address,
    started_at: Date.now() - 3,
    upstream_status: String(status),
    source: 'upstream',
    workspace: 'w',
    workspace_name: 'default',
    route: { id: `r-${service}`, name: `${service}-route` },
    service: { id: `s-${service}`, name: service },
    ...(consumer && {
      consumer: { id: `id-${consumer}`, username: consumer },
      authenticated_entity: { id: `cred-${consumer}` },
    }),
  });
}

/** The port at which an outrider takes them. */
function portOf(outrider: Running): number {
  const [, port] = /kong_tcp_log listens listen=127\.0\.0\.1:(\d+)/.exec(outrider.said())!;
  return Number(port);
}

export interface Stream {
  /** How many calls were sent so far. */
  sent: () => number;
  end: () => void;
}

/** As many calls in each second, one after the other as they are made. */
function streamTo(port: number, perSecond: number, make: (number: number) => Made): Stream {
  const socket: Socket = connect(port, '127.0.0.1');
  const began = Date.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((Date.now() - began) / 1000) * perSecond);
    let lines = '';
    for (; sent < due; sent += 1) lines += `${line(sent, make(sent))}\n`;
    socket.write(lines);
  }, 20);
  return {
    sent: () => sent,
    end: () => {
      clearInterval(timer);
      socket.destroy();
    },
  };
}

export interface Called extends Awaited<ReturnType<typeof open>> {
  browser: Browser;
  outrider: Running;
  stream: Stream;
  end: () => Promise<void>;
}

/** A new outrider that takes such calls, and an admin who looks at it, also `before` the first call comes. */
export async function called(
  perSecond: number,
  make: (number: number) => Made,
  setting?: Parameters<typeof fresh>[0],
  before: (window: Awaited<ReturnType<typeof open>>) => Promise<void> = () => Promise.resolve(),
): Promise<Called> {
  const [browser, outrider] = await Promise.all([launch(), fresh(setting)]);
  outrider.addPerson('admin', 'admin');
  const window = await open(browser, outrider);
  await signIn(window.page, 'admin');
  await before(window);
  const stream = streamTo(portOf(outrider), perSecond, make);
  const end = async () => {
    stream.end();
    await browser.close();
    await outrider.stop();
  };
  return { ...window, browser, outrider, stream, end };
}
