// Saved hunts: what they ask, how often, and how the last run went.
import { Button } from '@mantine/core';
import { Link, useNavigate } from 'react-router';

import { api, got } from '../../api/client';
import type { HuntRow } from '../../api/types';
import { Command, Empty, SeverityTag, Time } from '../../parts/basics';
import { type Column, PagedTable } from '../../parts/DataTable';
import { usePages, useReadAgain } from '../../parts/pages';
import { byWhom, count } from '../../parts/words';
import { useMay } from '../../shell/session';

const COLUMNS: Column<HuntRow>[] = [
  {
    id: 'name',
    head: 'Hunt',
    width: 'minmax(0, 2fr)',
    cell: ({ hunt }) => (
      <div className="lines">
        <Link className="whole cut" to={`/hunt/saved/${hunt.name}`}>
          <strong>{hunt.name}</strong>
        </Link>
        <span className="muted cut">{hunt.description || ('search' in hunt.ask ? hunt.ask.search : hunt.ask.sql)}</span>
      </div>
    ),
  },
  { id: 'severity', head: 'Severity', width: '90px', cell: ({ hunt }) => <SeverityTag severity={hunt.severity} /> },
  { id: 'every', head: 'Every', width: '60px', cell: ({ hunt }) => hunt.every },
  {
    id: 'state',
    head: 'State',
    width: '80px',
    cell: ({ hunt, failures }) =>
      !hunt.enabled ? (
        <span className="tag">Off</span>
      ) : failures > 0 ? (
        <span className="tag warning">Fails</span>
      ) : (
        <span className="tag good">Runs</span>
      ),
  },
  {
    id: 'last',
    head: 'Last run',
    width: '100px',
    cell: ({ last_run }) => (last_run ? <Time ms={last_run.at_ms} relative /> : <span className="faint">not yet</span>),
  },
  {
    id: 'found',
    head: 'Found',
    width: '80px',
    isNumber: true,
    cell: ({ last_run }) => (last_run?.figures ? count(last_run.figures.entities) : '–'),
  },
  { id: 'owner', head: 'Owner', width: 'minmax(0, 0.7fr)', cell: ({ owner }) => byWhom(owner) },
];

export function Saved() {
  const navigate = useNavigate();
  const mayHunt = useMay('analyst');
  const hunts = usePages<HuntRow>(['hunts'], (cursor, signal) =>
    got(api.GET('/api/v1/hunts', { params: { query: { limit: 100, cursor } }, signal })),
  );
  useReadAgain(hunts.refetch);
  return (
    <>
      {mayHunt && (
        <div className="filters">
          <div className="spread muted">
            A hunt asks its question of new calls again and again, and raises an alert about each whom the answer names.
          </div>
          <Button size="xs" component={Link} to="/hunt/saved/new">
            New hunt
          </Button>
        </div>
      )}
      <PagedTable
        pages={hunts}
        label="Hunts"
        columns={COLUMNS}
        rowKey={({ id }) => id}
        rowHeight={54}
        onOpen={({ hunt }) => void navigate(`/hunt/saved/${hunt.name}`)}
        few={
          <>
            <p>
              That is all.{' '}
              {mayHunt
                ? 'Any search or statement becomes a hunt by its button “Save as a hunt”.'
                : 'An analyst can save any search or statement as a hunt.'}{' '}
              Or with a file, on outrider’s machine:
            </p>
            <Command>outrider hunt add refused-often.toml</Command>
          </>
        }
        empty={
          <Empty title="No saved hunts yet.">
            <p>
              Begin with a search, such as “who is refused again and again”:{' '}
              {mayHunt ? (
                <Link to={`/hunt/saved/new?search=${encodeURIComponent('status:401,403')}`}>status:401,403</Link>
              ) : (
                'an analyst can save it'
              )}
              . Or with a file, on outrider’s machine:
            </p>
            <Command>outrider hunt add refused-often.toml</Command>
          </Empty>
        }
      />
    </>
  );
}
