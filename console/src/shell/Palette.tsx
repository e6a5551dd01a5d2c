// One field for everything: pages, consumers and other entities, and a search of all calls.
import { useQuery } from '@tanstack/react-query';
import { type KeyboardEvent, useState } from 'react';
import { useNavigate } from 'react-router';

import { api, got } from '../api/client';
import { may, type Role } from '../api/types';
import { timelinePath } from '../parts/basics';
import { Dialog } from '../parts/Dialog';
import { GO } from './keys';
import { useSession } from './session';

interface Choice {
  id: string;
  name: string;
  detail: string;
  to: string;
  /** Who may do what is there; everybody without. */
  least?: Role;
}

const PAGES: Choice[] = [
  ...Object.entries(GO).map(([key, [to, name]]) => ({ id: to, name, detail: `g ${key}`, to })),
  { id: 'sql', name: 'Hunt with SQL', detail: '', to: '/hunt/sql' },
  { id: 'hunts', name: 'Saved hunts', detail: '', to: '/hunt/saved' },
  { id: 'policy', name: 'New policy', detail: '', to: '/policies/new', least: 'responder' },
  { id: 'classes', name: 'Data classes', detail: '', to: '/posture/data' },
  { id: 'checks', name: 'Posture checks', detail: '', to: '/posture/checks' },
  { id: 'audit', name: 'Audit log', detail: '', to: '/settings/audit' },
  { id: 'gateways', name: 'Gateways', detail: '', to: '/settings/gateways' },
];

const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f]*:[0-9a-f:.]+)$/i;

export function choicesFor(typed: string, consumers: string[], role: Role | undefined): Choice[] {
  const wanted = typed.trim().toLowerCase();
  const pages = PAGES.filter(({ name, least = 'viewer' }) => may(role, least) && name.toLowerCase().includes(wanted));
  if (wanted === '') return pages;
  const found: Choice[] = consumers.map((name) => ({
    id: `consumer ${name}`,
    name,
    detail: 'timeline of the consumer',
    to: timelinePath({ kind: 'consumer', value: name }),
  }));
  if (/^al_[0-9a-f]+$/.test(wanted))
    found.unshift({ id: 'alert', name: wanted, detail: 'alert', to: `/alerts/${wanted}` });
  if (/^ac_[0-9a-f]+$/.test(wanted))
    found.unshift({ id: 'action', name: wanted, detail: 'action', to: `/responses/${wanted}` });
  if (/^wk_[0-9a-f]+$/.test(wanted))
    found.unshift({ id: 'weakness', name: wanted, detail: 'weakness', to: `/posture/${wanted}` });
  if (ADDRESS.test(wanted))
    found.unshift({
      id: 'address',
      name: wanted,
      detail: 'timeline of the address',
      to: timelinePath({ kind: 'ip', value: wanted }),
    });
  const search = {
    id: 'search',
    name: typed.trim(),
    detail: 'search all calls',
    to: `/hunt?q=${encodeURIComponent(typed.trim())}`,
  };
  return [...pages, ...found, search];
}

export function Palette({ open, close }: { open: boolean; close: () => void }) {
  return (
    <Dialog title="Go to" open={open} close={close} wide>
      <Choices close={close} />
    </Dialog>
  );
}

function Choices({ close }: { close: () => void }) {
  const navigate = useNavigate();
  const role = useSession().data?.role;
  const [typed, setTyped] = useState('');
  const [at, setAt] = useState(0);
  const word = typed.trim();
  const known = useQuery({
    queryKey: ['palette', word],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/search/completions', { params: { query: { q: `consumer:${word}` } }, signal })),
    enabled: /^[\w.@-]+$/.test(word),
    placeholderData: (before) => before,
    retry: false,
  });
  const names = (known.data?.items ?? []).map((item) => item.search.replace(/^consumer:/, '').replaceAll('"', ''));
  const consumers = names.filter((name) => name.toLowerCase().includes(word.toLowerCase())).slice(0, 6);
  const choices = choicesFor(typed, consumers, role);
  const go = (choice: Choice | undefined) => {
    if (!choice) return;
    close();
    void navigate(choice.to);
  };
  const press = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setAt((before) => (before + step + choices.length) % choices.length);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      go(choices[at]);
    }
  };
  return (
    <div className="palette">
      <input
        className="palette-input"
        data-autofocus
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={choices[at] ? `palette-${at}` : undefined}
        aria-label="A page, a consumer, an address, an id, or a search"
        placeholder="A page, a consumer, an address, an id, or a search"
        value={typed}
        onChange={(event) => {
          setTyped(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={press}
      />
      <ul id="palette-list" role="listbox" aria-label="Choices">
        {choices.map((choice, index) => (
          <li
            key={choice.id}
            id={`palette-${index}`}
            role="option"
            aria-selected={index === at}
            className={index === at ? 'palette-choice active' : 'palette-choice'}
            onMouseMove={() => setAt(index)}
            onClick={() => go(choice)}
          >
            <span className="cut spread">{choice.name}</span>
            <span className="faint">{choice.detail}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
