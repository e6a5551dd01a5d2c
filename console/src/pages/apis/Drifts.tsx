// How the calls of a service differ from its owner's document, the worst first.
import { Button } from '@mantine/core';
import { useMemo, useState } from 'react';
import { Link } from 'react-router';

import type { Schemas } from '../../api/client';
import { type ApiRow, type Drift, SEVERITIES } from '../../api/types';
import { useAddress } from '../../parts/address';
import { Command, Empty, Loading, Panel, SeverityTag, Trouble } from '../../parts/basics';
import { Choice, withChosen } from '../../parts/Choice';
import { type Column, SmallTable } from '../../parts/DataTable';
import { count, counted } from '../../parts/words';
import { AddressFacets } from '../timeline/AddressFacets';
import { FacetsButton } from '../timeline/Facets';
import { Template } from './ApisPage';
import { DRIFT_FIELDS, driftId, filterIn, fits, kindWords } from './drifting';
import { diffCommand, servicePath } from './service';

/** So many are drawn, and with each click as many more. */
const DRAWN = 100;

interface Props {
  row: ApiRow;
  all: ApiRow[];
  found: { data?: Schemas['DriftAnswer']; error: unknown; refetch: () => Promise<unknown> };
}

export function Drifts({ row, all, found }: Props) {
  const [query] = useAddress();
  const [drawn, setDrawn] = useState(DRAWN);
  const filter = useMemo(() => filterIn(query), [query]);
  const items = useMemo(() => found.data?.items ?? [], [found.data]);
  const rows = useMemo(() => items.filter((one) => fits(one, filter)), [items, filter]);
  const kinds = [...new Set(items.map(({ kind }) => kind as string))];
  const hasItems = items.length > 0;
  return (
    <Panel
      title="Differences"
      flush
      after={
        hasItems && (
          <>
            <span className="faint number">
              {rows.length < items.length ? `${count(rows.length)} of ${count(items.length)}` : count(items.length)}
            </span>
            <Choice
              label="Least severity"
              name="severity_min"
              any="Any severity"
              value={filter.severityMin}
              data={SEVERITIES.map((one) => ({ value: one, label: `${one} or worse` }))}
              width={150}
            />
            <Choice
              label="Kind"
              name="kind"
              any="Any kind"
              value={filter.kind}
              data={withChosen(kinds, filter.kind).map((one) => ({ value: one, label: kindWords(one).name }))}
              width={190}
            />
            <FacetsButton />
          </>
        )
      }
    >
      {found.error !== null && found.error !== undefined && (
        <div className="padded">
          <Trouble error={found.error} again={() => void found.refetch()} />
        </div>
      )}
      {!found.data && !found.error && (
        <div className="padded">
          <Loading lines={5} />
        </div>
      )}
      {found.data && !found.data.has_document && hasItems && (
        <p className="muted padded" role="note">
          There is no document of its owner, so only the gateway’s routes are compared.
        </p>
      )}
      {found.data && !hasItems && <NoDifference hasDocument={found.data.has_document} row={row} all={all} />}
      {hasItems && rows.length === 0 && (
        <Empty title="No difference fits these filters.">
          <Link to={servicePath(row)}>Show all differences</Link>
        </Empty>
      )}
      {rows.length > 0 && (
        <div className="calls drifts">
          <div className="spread">
            <SmallTable label="Differences" rows={rows.slice(0, drawn)} columns={COLUMNS} rowKey={driftId} />
            {rows.length > drawn && (
              <p className="padded">
                <Button size="xs" variant="default" onClick={() => setDrawn(drawn + DRAWN)}>
                  Show {count(Math.min(DRAWN, rows.length - drawn))} more
                </Button>
              </p>
            )}
          </div>
          <AddressFacets noun="difference" rows={rows} fields={DRIFT_FIELDS} />
        </div>
      )}
    </Panel>
  );
}

const COLUMNS: Column<Drift>[] = [
  { id: 'severity', head: 'Severity', width: '84px', cell: ({ severity }) => <SeverityTag severity={severity} /> },
  {
    id: 'what',
    head: 'What differs',
    width: 'minmax(0, 1.6fr)',
    cell: ({ kind, sentence }) => (
      <div className="lines">
        <strong title={kindWords(kind).title}>{kindWords(kind).name}</strong>
        <span className="muted wrap">{sentence}</span>
      </div>
    ),
  },
  {
    id: 'where',
    head: 'Endpoint, and place in the document',
    width: 'minmax(0, 1fr)',
    cell: (drift) => (
      <div className="lines">
        <Where drift={drift} />
        {drift.pointer && (
          <code className="faint cut" title={drift.pointer}>
            {drift.pointer}
          </code>
        )}
      </div>
    ),
  },
];

function Where({ drift: { endpoint, method, template, route, calls, of } }: { drift: Drift }) {
  const words = (
    <>
      {method && <code className="muted">{method}</code>} {template ? <Template text={template} /> : route}
    </>
  );
  const title = of > 0 ? `${count(calls)} of ${counted(of, 'call or value', 'calls or values')} show it` : undefined;
  return (
    <span className="cut" title={title}>
      {endpoint ? <Link to={`/apis/${endpoint}`}>{words}</Link> : words}
    </span>
  );
}

function NoDifference({ hasDocument, row, all }: { hasDocument: boolean; row: ApiRow; all: ApiRow[] }) {
  if (hasDocument) {
    return (
      <Empty title="No differences.">
        <p>
          What was called is what the document says. It is compared anew whenever somebody looks, also from a terminal:
        </p>
        <Command>{diffCommand(row, all)}</Command>
      </Empty>
    );
  }
  return (
    <Empty title="Nothing to compare with yet.">
      <p>
        Give the OpenAPI document of this API, above or in a terminal, and here is how its calls differ from it: shadow
        endpoints, deprecated ones that are still called, doors that stand open.
      </p>
    </Empty>
  );
}
