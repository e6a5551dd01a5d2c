// Keys for the whole console. They do nothing while somebody types.
import { useEffect, useRef } from 'react';
import { useNavigate } from 'react-router';

/** After `g`, one of these. */
export const GO: Record<string, [string, string]> = {
  o: ['/', 'Overview'],
  a: ['/alerts', 'Alerts'],
  t: ['/timeline', 'Timeline'],
  r: ['/responses', 'Responses'],
  p: ['/policies', 'Policies'],
  i: ['/apis', 'APIs'],
  w: ['/posture', 'Posture'],
  h: ['/hunt', 'Hunt'],
  s: ['/settings', 'Settings'],
};

/** Whether keys are text where they go. */
export function isTyping(target: EventTarget | undefined): boolean {
  // Nothing is typed into a box or a switch.
  if (target instanceof HTMLInputElement && target.type === 'checkbox') return false;
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName))
  );
}

export function useKeys({ palette, help }: { palette: () => void; help: () => void }): void {
  const navigate = useNavigate();
  const going = useRef(0);
  const calls = useRef({ palette, help });
  useEffect(() => {
    calls.current = { palette, help };
  });
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        calls.current.palette();
        return;
      }
      if (
        isTyping(event.composedPath()[0]) ||
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        document.querySelector('[aria-modal="true"]')
      )
        return;
      if (Date.now() - going.current < 1500 && GO[event.key]) {
        going.current = 0;
        void navigate(GO[event.key]![0]);
      } else if (event.key === 'g') {
        going.current = Date.now();
      } else if (event.key === '?') {
        calls.current.help();
      } else if (event.key === '/') {
        const search = document.querySelector<HTMLInputElement>('[data-search]');
        if (search) {
          event.preventDefault();
          search.focus();
        }
      }
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, [navigate]);
}
