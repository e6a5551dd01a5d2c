// Live updates: one stream of events for the whole console, put into the place of what is shown.
//
// Rows that are on the screen change where they are. Rows that are new do not push them away: what was told of is kept, and a
// list says how many of it are new to it until somebody asks for them.
import type { InfiniteData, QueryClient } from '@tanstack/react-query';

import type { Action, Alert, Notice, PolicyRow } from '../api/types';
import type { Schemas } from '../api/client';
import { noteServerTime } from './clock';
import { note, NOTHING, type Told, toldKey } from './fresh';

export type Summary = Schemas['StatusSummary'];
export type Connection = 'connecting' | 'live' | 'away';

interface Page<T> {
  items: T[];
  next?: string | null;
}

/** Puts a row in the place of the one with its id, or of `before` alone. */
function replaceRow<T extends { id: string }>(client: QueryClient, list: string, row: T, before?: T): void {
  const isIt = (item: T) => (before === undefined ? item.id === row.id : item === before);
  const has = (items: T[]) => items.some(isIt);
  const replaced = (items: T[]) => items.map((item) => (isIt(item) ? row : item));
  for (const [key, data] of client.getQueriesData<InfiniteData<Page<T>> | Page<T>>({ queryKey: [list] })) {
    if (data === undefined) continue;
    if ('pages' in data) {
      if (!data.pages.some((page) => has(page.items))) continue;
      client.setQueryData(key, {
        ...data,
        pages: data.pages.map((page) => ({ ...page, items: replaced(page.items) })),
      });
    } else if (has(data.items)) {
      client.setQueryData(key, { ...data, items: replaced(data.items) });
    }
  }
}

function tell<T extends { id: string }>(client: QueryClient, one: string, list: string, row: T): void {
  client.setQueryData([one, row.id], row);
  replaceRow(client, list, row);
  client.setQueryData<Told<T>>(toldKey(list), (told) => note(told, row));
  // Short lists beside others, such as those of the overview, are read again: their filters decide what belongs there.
  void client.invalidateQueries({ queryKey: ['now', list] });
}

/** Shows what a decision made of a row, unless the stream has told of what followed meanwhile. */
export function decided<T extends { id: string }>(
  client: QueryClient,
  one: string,
  list: string,
  before: T,
  after: T,
): void {
  if (client.getQueryData([one, after.id]) === before) client.setQueryData([one, after.id], after);
  replaceRow(client, list, after, before);
  void client.invalidateQueries({ queryKey: ['now', list] });
}

/** How long to wait before a stream is opened again that the browser gave up. */
const PAUSE_MS = 3000;

/** Keeps the cache in step with what the API tells, until it is called. */
export function follow(client: QueryClient, say: (connection: Connection) => void): () => void {
  let stream: EventSource;
  let again: ReturnType<typeof setTimeout> | undefined;
  let hasBegun = false;
  const open = () => {
    stream = new EventSource('/api/v1/events');
    stream.onopen = () => say('live');
    stream.onerror = () => {
      say('away');
      if (stream.readyState !== EventSource.CLOSED) return;
      // It was refused, and browsers do not try again then. Whoever is not signed in any more is asked to.
      void client.invalidateQueries({ queryKey: ['session'] });
      again = setTimeout(open, PAUSE_MS);
    };
    listen(client, stream, () => {
      // The first one says what everybody knows: that nothing is loaded yet.
      if (hasBegun) {
        // What was told of may have changed again.
        client.setQueriesData({ queryKey: toldKey() }, NOTHING);
        void client.invalidateQueries();
      }
      hasBegun = true;
    });
  };
  open();
  return () => {
    clearTimeout(again);
    stream.close();
  };
}

function listen(client: QueryClient, stream: EventSource, reset: () => void): void {
  const on = <T>(name: string, take: (data: T) => void) =>
    stream.addEventListener(name, (event) => take(JSON.parse((event as MessageEvent<string>).data) as T));
  on<Alert>('alert', (alert) => {
    tell(client, 'alert', 'alerts', alert);
    void client.invalidateQueries({ queryKey: ['findings', alert.id] });
  });
  on<Action>('action', (action) => tell(client, 'action', 'actions', action));
  on<PolicyRow>('policy', () => void client.invalidateQueries({ queryKey: ['policies'] }));
  on('policy_deleted', () => void client.invalidateQueries({ queryKey: ['policies'] }));
  on('kill_switch', (data) => client.setQueryData(['kill-switch'], data));
  on('guard_rails', (data) => client.setQueryData(['guard-rails'], data));
  on<Notice>('notice', () => void client.invalidateQueries({ queryKey: ['now', 'notices'] }));
  on<Summary>('status', (summary) => {
    noteServerTime(summary.at_ms);
    client.setQueryData(['summary'], summary);
  });
  on('reset', reset);
}
