// The values of a list whose filters are parts of the address.
import { useMemo } from 'react';
import { useNavigate } from 'react-router';

import { useAddress } from '../../parts/address';
import { isTaken, termOf, toggled } from './addressTerms';
import { type Countable, facetsBy } from './counting';
import { FacetPanel } from './Facets';
import { useRoom } from './room';

interface Props<T> {
  /** What one row is. */
  noun: string;
  /** What several are, where that is not the same with an s. */
  nouns?: string;
  rows: T[];
  /** There are more than these. */
  hasMore?: boolean;
  fields: Countable<T>[];
}

export function AddressFacets<T>({ noun, nouns, rows, hasMore = false, fields }: Props<T>) {
  const [query] = useAddress();
  const navigate = useNavigate();
  const { hasRoomForFacets } = useRoom();
  const facets = useMemo(() => facetsBy(fields, rows, termOf), [fields, rows]);
  if (!hasRoomForFacets) return null;
  return (
    <FacetPanel
      noun={noun}
      nouns={nouns}
      of={query.toString()}
      rows={rows.length}
      hasMore={hasMore}
      facets={facets}
      isTaken={(term) => isTaken(query, term)}
      toggled={(term) => toggled(query, term)}
      change={(next) => void navigate({ search: next })}
    />
  );
}
