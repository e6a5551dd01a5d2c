// The calls that somebody passes while a key is held down. The list chooses each of them; the server is asked, and the address says
// so, only for the one at which the key is let go.
import { useEffect, useEffectEvent, useState } from 'react';

export interface Passing {
  /** The call that is passed now. */
  key?: string;
  pass: (key: string) => void;
}

/** None is passed where no key is held. */
export const NOT_PASSING: Passing = { pass: () => undefined };

export function usePassing(opened: string | undefined, open: (key: string) => void): Passing {
  const [way, setWay] = useState<{ from?: string; to: string }>();
  // It ends with the call that it began at: another one was opened, or none is.
  if (way && way.from !== opened) setWay(undefined);
  const key = way && way.from === opened ? way.to : undefined;
  const rest = useEffectEvent(() => {
    if (key === opened) setWay(undefined);
    else if (key !== undefined) open(key);
  });
  const isPassing = key !== undefined;
  useEffect(() => {
    if (!isPassing) return undefined;
    const end = () => rest();
    // A window that loses the focus does not hear of a key that is let go.
    addEventListener('keyup', end);
    addEventListener('blur', end);
    return () => {
      removeEventListener('keyup', end);
      removeEventListener('blur', end);
    };
  }, [isPassing]);
  return { key, pass: (to) => setWay({ from: opened, to }) };
}
