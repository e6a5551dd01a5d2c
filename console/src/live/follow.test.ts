import { QueryClient } from '@tanstack/react-query';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { type Connection, decided, follow } from './follow';
import { type Told, toldKey } from './fresh';

/** Stands for the browser's stream: the test says what comes. */
class Stream extends EventTarget {
  static readonly CLOSED = 2;
  static last: Stream;
  readyState = 1;
  onopen?: () => void;
  onerror?: () => void;
  constructor(readonly url: string) {
    super();
    Stream.last = this;
  }
  close() {
    this.readyState = Stream.CLOSED;
  }
  say(name: string, data: unknown) {
    this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(data) }));
  }
}

const alert = (id: string, state = 'open') => ({ id, state });
const page = (...items: { id: string }[]) => ({ items, next: null });

describe('events go into the place of what is shown', () => {
  let client: QueryClient;
  let said: Connection[];
  let end: () => void;
  beforeEach(() => {
    vi.stubGlobal('EventSource', Stream);
    vi.useFakeTimers();
    client = new QueryClient();
    said = [];
    end = follow(client, (connection) => said.push(connection));
  });
  afterEach(() => {
    end();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('changes a row where it is', () => {
    client.setQueryData(['alerts', {}], { pages: [page(alert('al_1'), alert('al_2'))], pageParams: [undefined] });
    Stream.last.say('alert', alert('al_2', 'resolved'));
    expect(client.getQueryData(['alerts', {}])).toMatchObject({
      pages: [{ items: [alert('al_1'), alert('al_2', 'resolved')] }],
    });
    expect(client.getQueryData(['alert', 'al_2'])).toEqual(alert('al_2', 'resolved'));
  });

  it('shows what a decision made, unless the stream was faster', () => {
    const before = alert('al_1');
    client.setQueryData(['alerts', {}], { pages: [page(before)], pageParams: [undefined] });
    decided(client, 'alert', 'alerts', before, alert('al_1', 'acknowledged'));
    const shown = () => client.getQueryData<{ pages: { items: unknown[] }[] }>(['alerts', {}])?.pages[0]?.items[0];
    expect(shown()).toEqual(alert('al_1', 'acknowledged'));
    const seen = shown() as typeof before;
    Stream.last.say('alert', alert('al_1', 'resolved'));
    decided(client, 'alert', 'alerts', seen, alert('al_1', 'acknowledged'));
    expect(shown()).toEqual(alert('al_1', 'resolved'));
    expect(client.getQueryData(['alert', 'al_1'])).toEqual(alert('al_1', 'resolved'));
  });

  it('keeps what is new, each once, and moves nothing', () => {
    client.setQueryData(['alerts', {}], { pages: [page(alert('al_1'))], pageParams: [undefined] });
    Stream.last.say('alert', alert('al_9'));
    Stream.last.say('alert', alert('al_10'));
    expect(client.getQueryData(['alerts', {}])).toMatchObject({ pages: [{ items: [alert('al_1')] }] });
    Stream.last.say('alert', alert('al_9', 'acknowledged'));
    const told = client.getQueryData<Told<{ id: string }>>(toldKey('alerts'))!;
    expect([...told.rows.values()]).toEqual([alert('al_10'), alert('al_9', 'acknowledged')]);
  });

  it('reads everything again when events may be missing, but not at the beginning', () => {
    const again = vi.spyOn(client, 'invalidateQueries');
    Stream.last.say('alert', alert('al_9'));
    again.mockClear();
    Stream.last.say('reset', { reason: 'the beginning' });
    expect(again).not.toHaveBeenCalled();
    Stream.last.say('reset', { reason: 'outrider was started anew' });
    expect(again).toHaveBeenCalledWith();
    expect(client.getQueryData<Told<unknown>>(toldKey('alerts'))!.rows.size).toBe(0);
  });

  it('opens the stream again that the browser gave up', () => {
    const first = Stream.last;
    first.onopen?.();
    first.readyState = Stream.CLOSED;
    first.onerror?.();
    expect(said).toEqual(['live', 'away']);
    vi.advanceTimersByTime(3000);
    expect(Stream.last).not.toBe(first);
  });
});
