// When the drawing of a timeline is made anew: while somebody looks, every so often, if there is something new or its range has moved.
import { useCallback, useEffect, useRef, useState } from 'react';

import { serverNow } from '../../live/clock';
import { isWatched } from '../../live/now';

const LOOK_MS = 10_000;
/** Calls that come late are older than the newest one, and nobody tells of them. */
const ANYWAY_MS = 60_000;

interface Look {
  /** The time of the last look. */
  now: number;
  /** That of the last look which found something new, or came so long after the one before. */
  asOf: number;
}

/** Told of something that changes with each new call; `source` is where it comes from. Undefined says nothing. */
export type Tell = (source: unknown, newest: number | undefined) => void;

/** The last look, and a function that never changes: what it is told is kept until the next look, and draws nothing by itself. */
export function useLook(): Look & { tell: Tell } {
  const [look, setLook] = useState<Look>(() => {
    const now = serverNow();
    return { now, asOf: now };
  });
  const heard = useRef<{ source?: unknown; newest?: number; isNew: boolean }>({ isNew: false });
  const tell = useCallback<Tell>((source, newest) => {
    if (newest === undefined) return;
    const before = heard.current;
    // What another source says first is not comparable, and is no news.
    const isNew = before.isNew || (before.source === source && before.newest !== newest);
    heard.current = { source, newest, isNew };
  }, []);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!isWatched()) return;
      const now = serverNow();
      const { isNew } = heard.current;
      heard.current.isNew = false;
      setLook((before) => ({ now, asOf: isNew || now - before.asOf >= ANYWAY_MS ? now : before.asOf }));
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  return { ...look, tell };
}
