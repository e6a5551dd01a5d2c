// The most frequent values of the rows that are loaded, beside them. A click adds one to the filter, or takes it away again.
import { Button } from '@mantine/core';
import { IconFilter } from '@tabler/icons-react';
import { useMemo, useState } from 'react';

import type { CallRow, EntityKind } from '../../api/types';
import { useEndpointName } from '../../parts/endpoint';
import { useKept } from '../../parts/kept';
import { splitTerms, toggledTerm } from '../../parts/search';
import { count, counted } from '../../parts/words';
import { type Facet, facetsOf, type FacetValue } from './counting';
import { useRoom } from './room';

/** Whether somebody wants to see them; they do until they say something else. */
function useWantsFacets(): [boolean, (wants: boolean) => void] {
  const [kept, keep] = useKept('outrider facets');
  return [kept !== 'off', (wants) => keep(wants ? null : 'off')];
}

export function FacetsButton() {
  const [isWanted, want] = useWantsFacets();
  const { hasRoomForFacets } = useRoom();
  if (!hasRoomForFacets) return null;
  return (
    <Button
      size="xs"
      variant={isWanted ? 'light' : 'default'}
      aria-pressed={isWanted}
      title="Counts of the most frequent values, beside the list"
      leftSection={<IconFilter size={14} />}
      onClick={() => want(!isWanted)}
    >
      Values
    </Button>
  );
}

interface Props {
  rows: CallRow[];
  /** There are more calls than these. */
  hasMore: boolean;
  whose?: EntityKind;
  search: string;
  change: (search: string) => void;
}

/** What is counted, for which search or filter. */
interface Counted {
  of: string;
  rows: number;
  hasMore: boolean;
  facets: Facet[];
  /** It is of the search before, until the calls of this one come. */
  isOld?: boolean;
}

export function Facets({ rows, hasMore, whose, search, change }: Props) {
  const facets = useMemo(() => facetsOf(rows, whose), [rows, whose]);
  const terms = useMemo(() => new Set(splitTerms(search)), [search]);
  return (
    <FacetPanel
      noun="call"
      of={search}
      rows={rows.length}
      hasMore={hasMore}
      facets={facets}
      isTaken={(one) => terms.has(one)}
      toggled={(one) => toggledTerm(search, one)}
      change={change}
    />
  );
}

interface PanelProps {
  /** What one row is. */
  noun: string;
  /** What several are. */
  nouns?: string;
  /** The search or the filter that found the rows. */
  of: string;
  rows: number;
  hasMore: boolean;
  facets: Facet[];
  isTaken: (term: string) => boolean;
  /** The search or the filter with a term, or without it where it has that. */
  toggled: (term: string) => string;
  change: (next: string) => void;
}

export function FacetPanel(props: PanelProps) {
  const [isWanted] = useWantsFacets();
  return isWanted ? <Shown {...props} /> : null;
}

function Shown({ noun, nouns = `${noun}s`, of, rows, hasMore, facets, isTaken, toggled, change }: PanelProps) {
  const now: Counted = useMemo(() => ({ of, rows, hasMore, facets }), [of, rows, hasMore, facets]);
  // Nothing moves under the pointer, and nothing under the keys, while calls come.
  const [held, setHeld] = useState<Counted>();
  const isHeld = held?.of === of && !(held.isOld && rows > 0);
  const shown = isHeld ? held : now;
  const hold = () => {
    if (!isHeld && rows > 0) setHeld(now);
  };
  const release = () => {
    if (!held?.isOld) setHeld(undefined);
  };
  const take = (term: string) => {
    const next = toggled(term);
    setHeld({ ...shown, of: next, isOld: true });
    change(next);
  };
  return (
    <section
      className="facets"
      aria-label={`Values of these ${nouns}`}
      aria-busy={rows === 0}
      onPointerMove={hold}
      onPointerLeave={release}
      onFocus={hold}
      onBlur={release}
    >
      {shown.rows > 0 && (
        <p className="faint">
          {shown.hasMore
            ? `Counted in the ${counted(shown.rows, noun, nouns)} that are loaded. There are more.`
            : `Counted in all ${counted(shown.rows, noun, nouns)}.`}
        </p>
      )}
      {shown.facets.map((facet) => (
        <Values key={facet.field} facet={facet} rows={shown.rows} isTaken={isTaken} take={take} />
      ))}
    </section>
  );
}

interface ValuesProps {
  facet: Facet;
  rows: number;
  isTaken: (term: string) => boolean;
  take: (term: string) => void;
}

function Values({ facet: { field, title, values, areAsWritten, others }, rows, isTaken, take }: ValuesProps) {
  const Said = areAsWritten ? 'code' : 'span';
  return (
    <div>
      <h2>{title}</h2>
      <ul className="plain">
        {values.map((value) => (
          <li key={value.term}>
            <button
              type="button"
              className="facet"
              title={value.term}
              aria-pressed={isTaken(value.term)}
              style={{ backgroundSize: `${(value.count / rows) * 100}% 2px` }}
              onClick={() => take(value.term)}
            >
              <Said className="cut spread">{field === 'endpoint' ? <EndpointWords value={value} /> : value.words}</Said>
              <span className="number muted">{count(value.count)}</span>
            </button>
          </li>
        ))}
      </ul>
      {others > 0 && <span className="faint">{`and ${counted(others, 'other')}`}</span>}
    </div>
  );
}

function EndpointWords({ value }: { value: FacetValue }) {
  return useEndpointName(value.words);
}
