import { useEffect, useLayoutEffect, useRef } from 'react';

/**
 * Gives the focus back to what had it, once a dialog is gone: who opens one by its being there takes it away before it could do so
 * itself. A row that is not drawn any more leaves the focus to its table, and who has gone on to something else stays there.
 */
export function useFocusBack(isOpen: boolean): void {
  const opener = useRef<Element>(null);
  // Before what is opened takes the focus.
  useLayoutEffect(() => {
    if (isOpen) opener.current = document.activeElement;
  }, [isOpen]);
  useEffect(() => {
    if (!isOpen) return;
    const before = opener.current;
    const rows = before?.closest('.table-scroll');
    return () => {
      const now = document.activeElement;
      if (now && now !== document.body && !now.closest('[role="dialog"]')) return;
      const target = [before, rows].find((one) => one?.isConnected);
      if (target instanceof HTMLElement) target.focus();
    };
  }, [isOpen]);
}
