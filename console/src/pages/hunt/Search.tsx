// Everybody's calls, by a search.
import { useMemo } from 'react';
import { Link } from 'react-router';

import { useAddress } from '../../parts/address';
import { Empty } from '../../parts/basics';
import { CALLS, choosableColumns } from '../../parts/callColumns';
import { ColumnMenu } from '../../parts/columns';
import { useMay } from '../../shell/session';
import { CallsTable } from '../timeline/CallsTable';
import { FacetsButton } from '../timeline/Facets';
import { useCalls } from '../timeline/useCalls';
import { SaveAsHunt } from './SaveAsHunt';
import { Terms } from './Terms';

const EXAMPLES = [
  'status:>=500 last 1h',
  'status:401,403 -method:GET',
  'path:/admin/* status:200..399',
  'latency:>1000 last 24h',
  'response_bytes:>1000000',
];

const COLUMNS = choosableColumns();

export function Search() {
  const [query, change] = useAddress();
  const search = query.get('q') ?? '';
  const mayHunt = useMay('analyst');
  const of = useMemo(() => ({ search }), [search]);
  const calls = useCalls(of, 'new');
  return (
    <>
      <Terms
        search={search}
        change={(q) => change({ q })}
        placeholder="consumer:alice status:>=400 path:/orders/* last 7d"
        after={
          <>
            <FacetsButton />
            <ColumnMenu table={CALLS} columns={COLUMNS} />
            {mayHunt && search !== '' && <SaveAsHunt by="search" text={search} />}
          </>
        }
      />
      <CallsTable
        calls={calls}
        search={search}
        empty={
          <Empty title={search ? 'No call fits this search.' : 'No calls yet.'}>
            <p>Terms stand beside each other, and all have to hold. For example:</p>
            {EXAMPLES.map((example) => (
              <Link key={example} to={`/hunt?q=${encodeURIComponent(example)}`}>
                <code>{example}</code>
              </Link>
            ))}
          </Empty>
        }
      />
    </>
  );
}
