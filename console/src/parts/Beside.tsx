// What stands beside a page in a wide window. The page gives way to it and stays usable: it is no dialog that holds the focus. Escape
// takes it away from wherever the keys are, unless somebody types there or something lies over the page.
import { useMediaQuery } from '@mantine/hooks';
import { createContext, type ReactNode, use, useEffect, useEffectEvent, useRef } from 'react';
import { createPortal } from 'react-dom';

import { isTyping } from '../shell/keys';

/** Where the page has its place for it: null until that is there, undefined where there is no page. */
export const PlaceBeside = createContext<HTMLElement | null | undefined>(undefined);

/** As in the style sheets. */
const WIDE = '(min-width: 1440px)';

/** Whether the window has room for something beside a page; else that lies over it. */
export function useHasRoomBeside(): boolean {
  // Known before anything is drawn, so that nothing moves.
  return useMediaQuery(WIDE, undefined, { getInitialValueInEffect: false });
}

/** What lies over a page has the keys. */
const OVER = '[aria-modal="true"], [role="menu"]';

interface Props {
  className: string;
  /** The element that says what it is. */
  labelledBy: string;
  close: () => void;
  /** Keys that are meant for it, wherever the focus is. */
  press: (event: KeyboardEvent) => void;
  children: ReactNode;
}

export function Beside({ className, labelledBy, close, press, children }: Props) {
  const place = use(PlaceBeside);
  const panel = useRef<HTMLElement>(null);
  const take = useEffectEvent((event: KeyboardEvent) => {
    const isElsewhere = isTyping(event.composedPath()[0]) || document.querySelector(OVER) !== null;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isElsewhere) return;
    if (event.key === 'Escape') close();
    else press(event);
  });
  useEffect(() => {
    panel.current?.focus({ preventScroll: true });
    // Before a menu takes itself away.
    addEventListener('keydown', take, true);
    return () => removeEventListener('keydown', take, true);
  }, [place]);
  if (place === null) return null;
  const drawn = (
    <section className={className} role="dialog" aria-labelledby={labelledBy} tabIndex={-1} ref={panel}>
      {children}
    </section>
  );
  return place ? createPortal(drawn, place) : drawn;
}
