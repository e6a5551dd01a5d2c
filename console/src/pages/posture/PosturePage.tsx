// What is weak at the APIs, the gravest first, with filters that are part of the address.
import { Button, Select } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useMemo } from 'react';
import { Link, useNavigate } from 'react-router';

import { api, got } from '../../api/client';
import { type CheckRow, SEVERITIES, type WeaknessRow } from '../../api/types';
import { useAddress } from '../../parts/address';
import { Page, SeverityTag, Time, Trouble } from '../../parts/basics';
import { Choice, withChosen } from '../../parts/Choice';
import { type Column, PagedTable } from '../../parts/DataTable';
import { useEndpointName } from '../../parts/endpoint';
import { usePages, useReadAgain } from '../../parts/pages';
import { saveFile } from '../../parts/saving';
import { Words } from '../../parts/Prose';
import { count } from '../../parts/words';
import { nameOf, servicePath, useApis } from '../apis/service';
import { AddressFacets } from '../timeline/AddressFacets';
import { FacetsButton } from '../timeline/Facets';
import { weaknessFields } from './facets';
import { filterIn, isFiltered, tabsOf, type WeaknessFilter } from './filter';
import { NoWeakness, NotRead } from './NoWeakness';
import { PostureTabs } from './PostureTabs';
import { useChecks, useCounts, WEAKNESSES } from './reading';
import { Sums } from './Sums';
import { OwaspId, Standing } from './tags';
import { checkWords, weaknessPath } from './weakness';

/** The name, two lines of the sentence, and room around them. */
const ROW_HEIGHT = 78;

const NO_CHECKS: CheckRow[] = [];

function columnsWith(checks: CheckRow[]): Column<WeaknessRow>[] {
  return [
    { id: 'severity', head: 'Severity', width: '84px', cell: ({ severity }) => <SeverityTag severity={severity} /> },
    {
      id: 'what',
      head: 'What',
      width: 'minmax(160px, 1fr)',
      cell: ({ id, check, sentence }) => (
        <div className="lines">
          <Link className="whole cut" to={weaknessPath(id)}>
            <strong>{checkWords(check, checks)}</strong>
          </Link>
          <span className="muted two-lines" title={sentence}>
            <Words of={sentence} />
          </span>
        </div>
      ),
    },
    { id: 'owasp', head: 'OWASP', width: '52px', cell: ({ owasp }) => <OwaspId id={owasp} /> },
    {
      id: 'service',
      head: 'Service',
      width: 'minmax(64px, 116px)',
      cell: ({ gateway, workspace, service, service_name }) =>
        service ? (
          <Link to={servicePath({ gateway, workspace, service })} title={`at ${gateway}`}>
            {service_name || service}
          </Link>
        ) : (
          <span className="muted" title="about no service">
            at {gateway}
          </span>
        ),
    },
    { id: 'state', head: 'State', width: '92px', cell: ({ state }) => <Standing state={state} /> },
    {
      id: 'opened',
      head: 'Opened',
      width: '72px',
      isNumber: true,
      needsRoom: true,
      cell: ({ opened_ms }) => <Time ms={opened_ms} relative />,
    },
    {
      id: 'seen',
      head: 'Seen last',
      width: '72px',
      isNumber: true,
      cell: ({ last_seen_ms }) => <Time ms={last_seen_ms} relative />,
    },
  ];
}

async function exported(filter: WeaknessFilter): Promise<void> {
  const params = { query: filter };
  saveFile(await got(api.GET('/api/v1/posture/export', { params, parseAs: 'blob' })), 'posture.csv');
}

export function PosturePage() {
  const [query, change] = useAddress();
  const navigate = useNavigate();
  const filter = useMemo(() => filterIn(query), [query]);
  const weaknesses = usePages([WEAKNESSES, filter], (cursor, signal) =>
    got(api.GET('/api/v1/posture', { params: { query: { ...filter, limit: 100, cursor } }, signal })),
  );
  useReadAgain(weaknesses.refetch);
  const checks = useChecks().data?.items ?? NO_CHECKS;
  const columns = useMemo(() => columnsWith(checks), [checks]);
  const fields = useMemo(() => weaknessFields(checks), [checks]);
  const { severity_min, check, owasp, service, gateway, endpoint } = filter;
  const counts = useCounts({ severity_min, check, owasp, service, gateway, endpoint });
  const exporting = useMutation({ mutationFn: () => exported(filter) });
  const hasAny = Object.values(counts.data?.by_state ?? {}).some((number) => number > 0);
  const hasFilter = isFiltered(filter);
  return (
    <Page
      title="Posture"
      full
      after={
        <>
          <PostureTabs of="weaknesses" />
          <div className="spread" />
          <Button
            size="xs"
            variant="default"
            leftSection={<IconDownload size={14} />}
            loading={exporting.isPending}
            onClick={() => exporting.mutate()}
          >
            Export CSV
          </Button>
        </>
      }
    >
      {exporting.error && <Trouble error={exporting.error} />}
      {(hasAny || hasFilter) && <Sums filter={filter} checks={checks} />}
      <div className="filters">
        <nav className="tabs" aria-label="State">
          {tabsOf(filter.state, counts.data?.by_state).map(({ words, state, isShown, count: number }) => {
            const next = new URLSearchParams(query);
            if (state) next.set('state', state);
            else next.delete('state');
            return (
              <Link
                key={words}
                to={{ search: next.toString() }}
                replace
                className={isShown ? 'active' : ''}
                aria-current={isShown ? 'true' : undefined}
              >
                {words}
                <span className="count">{number === undefined ? '' : count(number)}</span>
              </Link>
            );
          })}
        </nav>
        <Filters filter={filter} checks={checks} rows={weaknesses.rows} />
        <div className="spread" />
        <FacetsButton />
        <Select
          size="xs"
          w={142}
          aria-label="Order"
          allowDeselect={false}
          value={filter.sort}
          data={[
            { value: 'severity', label: 'Gravest first' },
            { value: 'opened', label: 'Opened last first' },
          ]}
          onChange={(value) => change({ sort: value === 'opened' ? value : null })}
        />
      </div>
      {weaknesses.rows.length > 0 && <NotRead isLine />}
      <div className="calls">
        <PagedTable
          pages={weaknesses}
          label="Weaknesses"
          columns={columns}
          rowKey={({ id }) => id}
          rowHeight={ROW_HEIGHT}
          onOpen={({ id }) => void navigate(weaknessPath(id))}
          few={
            hasFilter ? (
              <p>
                That is all that fits these filters. <Link to="/posture?state=all">Show all weaknesses</Link>
              </p>
            ) : (
              <p>
                That is all {filter.state ? 'in this state' : 'there is'}.{' '}
                <Link to="/posture/checks">What is checked</Link>
              </p>
            )
          }
          empty={<NoWeakness filter={filter} checks={checks} hasAny={hasAny} />}
        />
        {weaknesses.rows.length > 0 && (
          <AddressFacets
            noun="weakness"
            nouns="weaknesses"
            rows={weaknesses.rows}
            hasMore={weaknesses.hasNextPage}
            fields={fields}
          />
        )}
      </div>
    </Page>
  );
}

function Filters({ filter, checks, rows }: { filter: WeaknessFilter; checks: CheckRow[]; rows: WeaknessRow[] }) {
  const apis = useApis().data?.items ?? [];
  const services = [...new Set([...apis.map(nameOf), ...rows.map((row) => row.service_name).filter(Boolean)])].sort();
  const gateways = [...new Set([...apis, ...rows].map((row) => row.gateway).filter(Boolean))].sort();
  const names = withChosen(
    checks.map(({ name }) => name),
    filter.check,
  );
  return (
    <>
      <Choice
        label="Least severity"
        name="severity_min"
        any="Any severity"
        value={filter.severity_min}
        data={SEVERITIES.map((one) => ({ value: one, label: `${one} or worse` }))}
        width={126}
      />
      <Choice
        label="Check"
        name="check"
        any="Any check"
        value={filter.check}
        data={names.map((one) => ({ value: one, label: checkWords(one, checks) }))}
        width={150}
        searchable
      />
      <Choice
        label="Service"
        name="service"
        any="Any service"
        value={filter.service}
        data={withChosen(services, filter.service)}
        width={126}
        searchable
      />
      {(gateways.length > 1 || filter.gateway) && (
        <Choice
          label="Gateway"
          name="gateway"
          any="Any gateway"
          value={filter.gateway}
          data={withChosen(gateways, filter.gateway)}
          width={126}
          searchable
        />
      )}
      {filter.endpoint && <OfEndpoint id={filter.endpoint} />}
    </>
  );
}

/** An endpoint is chosen on its own page, and taken away here. */
function OfEndpoint({ id }: { id: string }) {
  const [, change] = useAddress();
  const name = useEndpointName(id);
  return (
    <Button
      size="xs"
      variant="light"
      className="of-endpoint"
      title={`of ${name}; a click shows those of all endpoints`}
      aria-label={`Only of ${name}: show those of all endpoints`}
      onClick={() => change({ endpoint: null })}
    >
      <code className="cut">{name}</code> ×
    </Button>
  );
}
