// The most frequent values of the calls that are loaded, beside them. A click adds one to the filter, or takes it away again.
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
      title="Counts of the most frequent values, beside the calls"
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

/** What is counted, for which search. */
interface Counted {
  search: string;
  calls: number;
  hasMore: boolean;
  facets: Facet[];
  /** It is of the search before, until the calls of this one come. */
  isOld?: boolean;
}

export function Facets(props: Props) {
  const [isWanted] = useWantsFacets();
  return isWanted ? <Shown {...props} /> : null;
}

function Shown({ rows, hasMore, whose, search, change }: Props) {
  const now: Counted = useMemo(
    () => ({ search, calls: rows.length, hasMore, facets: facetsOf(rows, whose) }),
    [rows, hasMore, whose, search],
  );
  // Nothing moves under the pointer, and nothing under the keys, while calls come.
  const [held, setHeld] = useState<Counted>();
  const isHeld = held?.search === search && !(held.isOld && rows.length > 0);
  const shown = isHeld ? held : now;
  const hold = () => {
    if (!isHeld && rows.length > 0) setHeld(now);
  };
  const release = () => {
    if (!held?.isOld) setHeld(undefined);
  };
  const take = (term: string) => {
    const next = toggledTerm(search, term);
    setHeld({ ...shown, search: next, isOld: true });
    change(next);
  };
  const terms = new Set(splitTerms(search));
  return (
    <section
      className="facets"
      aria-label="Values of these calls"
      aria-busy={rows.length === 0}
      onPointerMove={hold}
      onPointerLeave={release}
      onFocus={hold}
      onBlur={release}
    >
      {shown.calls > 0 && (
        <p className="faint">
          {shown.hasMore
            ? `Counted in the ${counted(shown.calls, 'call')} that are loaded. There are more.`
            : `Counted in all ${counted(shown.calls, 'call')}.`}
        </p>
      )}
      {shown.facets.map((facet) => (
        <Values key={facet.field} facet={facet} calls={shown.calls} terms={terms} take={take} />
      ))}
    </section>
  );
}

interface ValuesProps {
  facet: Facet;
  calls: number;
  terms: Set<string>;
  take: (term: string) => void;
}

function Values({ facet: { field, title, values, others }, calls, terms, take }: ValuesProps) {
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
              aria-pressed={terms.has(value.term)}
              style={{ backgroundSize: `${(value.calls / calls) * 100}% 100%` }}
              onClick={() => take(value.term)}
            >
              <code className="cut spread">{field === 'endpoint' ? <EndpointWords value={value} /> : value.words}</code>
              <span className="number muted">{count(value.calls)}</span>
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
