// What a page shows is in its address, so that it can be sent to somebody else.
import { useCallback, useMemo } from 'react';
import { useSearchParams } from 'react-router';

/** Reads and changes parts of the address. An empty value takes a part away; changes do not fill the browser's history. */
export function useAddress(): [URLSearchParams, (change: Record<string, string | null | undefined>) => void] {
  const [query, setQuery] = useSearchParams();
  const change = useCallback(
    (parts: Record<string, string | null | undefined>) =>
      setQuery(
        (before) => {
          const after = new URLSearchParams(before);
          for (const [name, value] of Object.entries(parts)) {
            if (value === null || value === undefined || value === '') after.delete(name);
            else after.set(name, value);
          }
          return after;
        },
        { replace: true },
      ),
    [setQuery],
  );
  return useMemo(() => [query, change], [query, change]);
}
