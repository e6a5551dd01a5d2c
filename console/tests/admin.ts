// Kong's Admin API as far as a configuration is read from it: lists that say what the test gives them, and nothing that can be changed.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Admin {
  url: string;
  /** What a list has from now on, such as `plugins`. */
  set: (list: string, entities: object[]) => void;
  stop: () => void;
}

export async function adminWith(lists: Record<string, object[]>): Promise<Admin> {
  const held = new Map(Object.entries(lists));
  const server: Server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const list = held.get(pathname.slice(1)) ?? (pathname.slice(1) in CREDENTIALS ? [] : undefined);
    const answer =
      pathname === '/' ? { version: '3.9.1', configuration: { database: 'postgres' } } : list && { data: list, next: null };
    response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? { message: 'Not found' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    set: (list, entities) => held.set(list, entities),
    stop: () => server.close(),
  };
}

const CREDENTIALS = { 'key-auths': 1, 'basic-auths': 1, jwts: 1, 'hmac-auths': 1, oauth2: 1 };
