// Which call is open. It is in the address, as `call=4711-0`, so that it can be sent to somebody else.
import { type ReactNode, useCallback, useMemo } from 'react';
import { Link, useLocation, useNavigate, useSearchParams } from 'react-router';

import type { CallRow } from '../api/types';

const NAME = 'call';
/** Says that the page before is the same one without the call, to which closing goes back. */
const OPENED_HERE: State = { isCallOpenedHere: true };

interface State {
  isCallOpenedHere?: boolean;
}

/** A call's place in the log, as the address writes it. */
export function callKey(call: Pick<CallRow, 'position' | 'call_index'>): string {
  return `${call.position}-${call.call_index}`;
}

/** The same, as the API writes it. */
export function callId(key: string): string {
  return key.replace('-', '.');
}

/** The call that is open, and ways to open another one and to close it. */
export function useOpenCall(): { key?: string; open: (key: string) => void; close: () => void } {
  const [query] = useSearchParams();
  const { search, state } = useLocation() as { search: string; state: State | null };
  const navigate = useNavigate();
  const key = query.get(NAME) ?? undefined;
  const isOpenedHere = state?.isCallOpenedHere === true;
  const open = useCallback(
    (next: string) => {
      // Going on to the next call is no way to go back by.
      const isOpen = key !== undefined;
      void navigate({ search: withCall(search, next) }, { replace: isOpen, state: isOpen ? state : OPENED_HERE });
    },
    [navigate, search, key, state],
  );
  const close = useCallback(() => {
    if (isOpenedHere) void navigate(-1);
    else void navigate({ search: withCall(search) }, { replace: true });
  }, [navigate, search, isOpenedHere]);
  return useMemo(() => ({ key, open, close }), [key, open, close]);
}

/** Opens a call from anywhere in its row. */
export function CallLink({ call, children }: { call: CallRow; children: ReactNode }) {
  const { search, state } = useLocation() as { search: string; state: State | null };
  // There is one of them in each row, and new rows come twice a second.
  const query = new URLSearchParams(search);
  const isOpen = query.has(NAME);
  query.set(NAME, callKey(call));
  return (
    <Link
      className="whole"
      aria-haspopup="dialog"
      to={{ search: `?${query.toString()}` }}
      replace={isOpen}
      state={isOpen ? state : OPENED_HERE}
    >
      {children}
    </Link>
  );
}

function withCall(search: string, key?: string): string {
  const query = new URLSearchParams(search);
  if (key === undefined) query.delete(NAME);
  else query.set(NAME, key);
  return `?${query.toString()}`;
}
