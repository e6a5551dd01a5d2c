// Every value of a call leads on: only these, not these, the timeline of whom it names. One menu serves a whole table.
import { type ReactNode, useEffect, useRef } from 'react';
import { Link } from 'react-router';

import type { EntityKind } from '../api/types';
import { timelinePath } from './basics';
import { term } from './search';

export interface Pivoted {
  x: number;
  y: number;
  field: string;
  value: string;
  entity?: { kind: EntityKind; value: string; gateway?: string };
  endpoint?: string;
}

export type OpenPivot = (pivot: Pivoted) => void;

/** A value that opens the menu. */
export function Value({
  field,
  value,
  entity,
  endpoint,
  open,
  children,
}: Omit<Pivoted, 'x' | 'y'> & { open: OpenPivot; children?: ReactNode }) {
  return (
    <button
      type="button"
      className="link-button"
      title={value}
      aria-haspopup="menu"
      onClick={(event) => {
        const box = event.currentTarget.getBoundingClientRect();
        open({ x: box.left, y: box.bottom + 4, field, value, entity, endpoint });
      }}
    >
      {children ?? value}
    </button>
  );
}

interface Props {
  pivot: Pivoted;
  close: () => void;
  /** Adds a term to the search that is shown. */
  add: (term: string) => void;
}

export function PivotMenu({ pivot, close, add }: Props) {
  const menu = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    menu.current?.querySelector<HTMLElement>('[role="menuitem"]')?.focus();
    const away = (event: Event) => {
      if (!menu.current?.contains(event.target as Node)) close();
    };
    const press = (event: KeyboardEvent) => {
      if (event.key === 'Escape') {
        close();
        if (before instanceof HTMLElement) before.focus();
      }
      const items = [...(menu.current?.querySelectorAll<HTMLElement>('[role="menuitem"]') ?? [])];
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step !== undefined) {
        event.preventDefault();
        const at = items.indexOf(document.activeElement as HTMLElement);
        items[(at + step + items.length) % items.length]?.focus();
      }
    };
    addEventListener('pointerdown', away);
    addEventListener('keydown', press);
    return () => {
      removeEventListener('pointerdown', away);
      removeEventListener('keydown', press);
    };
  }, [close]);
  const { field, value, entity, endpoint } = pivot;
  const [only, not] = [term(field, value), term(field, value, true)];
  const take = (added: string) => {
    close();
    add(added);
  };
  const place = { left: Math.min(pivot.x, innerWidth - 300), top: Math.min(pivot.y, innerHeight - 190) };
  return (
    <div ref={menu} className="pivot" role="menu" aria-label={`${field}: ${value}`} style={place}>
      <div className="faint cut pivot-title">
        {field} <code>{value}</code>
      </div>
      <button type="button" role="menuitem" onClick={() => take(only)}>
        Only these
      </button>
      <button type="button" role="menuitem" onClick={() => take(not)}>
        Without these
      </button>
      {entity && (
        <Link role="menuitem" to={timelinePath(entity)} onClick={close}>
          Timeline of this {entity.kind === 'ip' ? 'address' : entity.kind}
        </Link>
      )}
      {endpoint && (
        <Link role="menuitem" to={`/apis/${endpoint}`} onClick={close}>
          This endpoint
        </Link>
      )}
      <Link role="menuitem" to={`/hunt?q=${encodeURIComponent(only)}`} onClick={close}>
        Everybody’s calls with it
      </Link>
    </div>
  );
}
