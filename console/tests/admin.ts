// Kong's Admin API as far as a configuration is read from it: lists that say what the test gives them, and nothing that can be changed.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Admin {
  url: string;
  /** What a list has from now on, such as `plugins`. */
  set: (list: string, entities: object[]) => void;
  stop: () => void;
}

/** Plugins that the node could run; of a credential list without a plugin it says that it is not there. */
const NODE = {
  version: '3.9.1',
  configuration: { database: 'postgres' },
  plugins: { available_on_server: { 'key-auth': true } },
};

export async function adminWith(lists: Record<string, object[]>): Promise<Admin> {
  const held = new Map<string, Entity[]>(Object.entries(lists));
  const server: Server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const tags = searchParams.get('tags')?.split(',') ?? [];
    const found = held.get(pathname.slice(1))?.filter((entity) => tags.every((tag) => entity.tags?.includes(tag)));
    const answer = pathname === '/' ? NODE : found && { data: found, next: null };
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

interface Entity {
  tags?: string[];
}
