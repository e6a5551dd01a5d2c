import { useEffect } from 'react';

/**
 * Gives the focus back to what had it, once a dialog is gone: who opens one by its being there takes it away before it could do so
 * itself. A row that is not drawn any more leaves the focus to its table.
 */
export function useFocusBack(isOpen: boolean): void {
  useEffect(() => {
    if (!isOpen) return;
    const before = document.activeElement;
    const rows = before?.closest('.table-scroll');
    return () => {
      const target = [before, rows].find((one) => one?.isConnected);
      if (target instanceof HTMLElement) target.focus();
    };
  }, [isOpen]);
}
