// What a page shows is in its address, so that it can be sent to somebody else.
import { useCallback, useMemo } from 'react';
import { useSearchParams } from 'react-router';

type Change = (parts: Record<string, string | null | undefined>, canGoBack?: boolean) => void;

/**
 * Reads and changes parts of the address. An empty value takes a part away. Going back undoes what asks for it; the other
 * changes do not fill the browser's history.
 */
export function useAddress(): [URLSearchParams, Change] {
  const [query, setQuery] = useSearchParams();
  const change = useCallback<Change>(
    (parts, canGoBack = false) =>
      setQuery(
        (before) => {
          const after = new URLSearchParams(before);
          for (const [name, value] of Object.entries(parts)) {
            if (value === null || value === undefined || value === '') after.delete(name);
            else after.set(name, value);
          }
          return after;
        },
        { replace: !canGoBack },
      ),
    [setQuery],
  );
  return useMemo(() => [query, change], [query, change]);
}
