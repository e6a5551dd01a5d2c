// All alerts, with facets that are part of the address.
import { Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate } from 'react-router';

import { api, got } from '../../api/client';
import { type Alert, SEVERITIES, type Severity } from '../../api/types';
import { useAddress } from '../../parts/address';
import { AlertStateTag, Command, Empty, EntityLink, Page, SeverityTag, Time } from '../../parts/basics';
import { Choice, withChosen } from '../../parts/Choice';
import { type Column, PagedTable } from '../../parts/DataTable';
import { NameField } from '../../parts/NameField';
import { useFresh, usePages } from '../../parts/pages';
import { type Chosen, NONE } from '../../parts/selection';
import { detectorName, figure } from '../../parts/words';
import { useMay, useSession } from '../../shell/session';
import { useDetectors, useServices } from '../policies/suggestions';
import { AddressFacets } from '../timeline/AddressFacets';
import { FacetsButton } from '../timeline/Facets';
import { useAssignees } from './Assignee';
import { Bulk } from './Bulk';
import { ALERT_FIELDS } from './facets';
import { fits, NOBODY, ORDERS } from './filter';
import { statesOf, tabsOf } from './states';

/** Whom alerts are about most often. */
const ENTITY_FIELDS = ['consumer', 'ip'];

/** The name, two lines of the sentence, and room around them. */
const ROW_HEIGHT = 78;

const COLUMNS: Column<Alert>[] = [
  { id: 'severity', head: 'Severity', width: '84px', cell: (alert) => <SeverityTag severity={alert.severity} /> },
  {
    id: 'what',
    head: 'What',
    width: 'minmax(0, 1fr)',
    cell: (alert) => <What alert={alert} />,
  },
  {
    id: 'observed',
    head: 'Observed / expected',
    width: '130px',
    isNumber: true,
    cell: ({ worst }) => (
      <span title={`${worst.observation.unit}; expected ${figure(worst.observation.expected)}`}>
        {figure(worst.observation.observed)} <span className="faint">/ {figure(worst.observation.expected)}</span>
      </span>
    ),
  },
  { id: 'state', head: 'State', width: '108px', cell: (alert) => <AlertStateTag state={alert.state} /> },
  {
    id: 'assignee',
    head: 'Assigned to',
    width: '96px',
    cell: ({ assignee }) =>
      assignee ? <span title={assignee}>{assignee}</span> : <span className="faint">nobody</span>,
  },
  {
    id: 'found',
    head: 'Findings',
    width: '64px',
    isNumber: true,
    needsRoom: true,
    cell: (alert) => alert.finding_count,
  },
  {
    id: 'last',
    head: 'Last finding',
    width: '96px',
    isNumber: true,
    cell: (alert) => <Time ms={alert.last_finding_ms} relative />,
  },
];

function What({ alert, failure }: { alert: Alert; failure?: string }) {
  return (
    <div className="lines">
      <div className="row">
        <Link className="whole cut" to={`/alerts/${alert.id}`}>
          <strong>{detectorName(alert.detector)}</strong>
        </Link>
        <EntityLink entity={alert.entity} />
      </div>
      {failure ? (
        <span className="bad two-lines" title={failure}>
          Not done: {failure}
        </span>
      ) : (
        <span className="muted two-lines" title={alert.sentence}>
          {alert.sentence}
        </span>
      )}
    </div>
  );
}

/** Says in the rows of which a decision failed why it did. */
function columnsWith(failures: ReadonlyMap<string, string>): Column<Alert>[] {
  return COLUMNS.map((column) =>
    column.id === 'what'
      ? { ...column, cell: (alert) => <What alert={alert} failure={failures.get(alert.id)} /> }
      : column,
  );
}

const NO_FAILURES: ReadonlyMap<string, string> = new Map();

export default function AlertsPage() {
  const [query, change] = useAddress();
  const navigate = useNavigate();
  const states = statesOf(query.get('state'));
  const severity = query.get('severity_min') as Severity | null;
  const me = useSession().data?.person?.name;
  const assignee = query.get('assignee');
  const filter = {
    state: states,
    severity_min: severity ?? undefined,
    detector: query.get('detector') ?? undefined,
    entity: query.get('entity') ?? undefined,
    service: query.get('service') ?? undefined,
    assignee: assignee && assignee !== NOBODY ? assignee : undefined,
    assigned: assignee === NOBODY ? false : undefined,
    sort: query.get('sort') === 'opened' ? ('opened' as const) : ('last_finding' as const),
  };
  const alerts = usePages(['alerts', filter], (cursor, signal) =>
    got(api.GET('/api/v1/alerts', { params: { query: { ...filter, limit: 100, cursor } }, signal })),
  );
  const fresh = useFresh('alerts', alerts, ORDERS[filter.sort], (alert) => fits(alert, filter));
  // An alert is of one hunt, never of the family of all.
  const detectors = useDetectors().filter((one) => one !== 'hunt');
  const services = useServices();
  const mayDecide = useMay('analyst');
  const [chosen, setChosen] = useState(NONE);
  const [failures, setFailures] = useState(NO_FAILURES);
  const choose = (next: Chosen) => {
    setChosen(next);
    setFailures(new Map([...failures].filter(([id]) => next.has(id))));
  };
  // What a filter has taken from view is not decided about.
  const about = alerts.rows.filter((alert) => chosen.has(alert.id));
  const isFiltered = [...query.keys()].some((name) => name !== 'sort' && name !== 'state');
  const people = useAssignees().data?.items ?? [];
  const names = new Map(people.map(({ name, display_name }) => [name, display_name]));
  return (
    <Page
      title="Alerts"
      full
      after={
        <nav className="tabs" aria-label="State">
          {tabsOf(states).map(({ words, state, isShown }) => {
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
              </Link>
            );
          })}
        </nav>
      }
    >
      <div className="filters">
        <Choice
          label="Least severity"
          name="severity_min"
          any="Any severity"
          value={severity}
          data={SEVERITIES.map((one) => ({ value: one, label: `${one} or worse` }))}
          width={136}
        />
        <Choice
          label="Detector"
          name="detector"
          any="Any detector"
          value={filter.detector}
          data={withChosen(detectors, filter.detector).map((one) => ({ value: one, label: detectorName(one) }))}
          width={170}
          searchable
        />
        <NameField
          label="Consumer, address or other entity"
          name="entity"
          known={alerts.rows.map(({ entity }) => entity.label || entity.value)}
          fields={ENTITY_FIELDS}
          width={214}
          isSearch
        />
        <Choice
          label="Service"
          name="service"
          any="Any service"
          value={filter.service}
          data={withChosen(services, filter.service)}
          width={150}
          searchable
        />
        <Choice
          label="Assigned to"
          name="assignee"
          any="Assigned to anybody"
          value={assignee}
          data={[...new Set([me, NOBODY, ...names.keys(), ...alerts.rows.map((alert) => alert.assignee), assignee])]
            .filter((one) => one !== null && one !== undefined)
            .map((one) => ({
              value: one,
              label: one === me ? 'Mine' : one === NOBODY ? 'Nobody’s' : names.get(one) || one,
            }))}
          width={170}
          searchable
        />
        <div className="spread" />
        <FacetsButton />
        <Select
          size="xs"
          w={156}
          aria-label="Order"
          allowDeselect={false}
          value={filter.sort}
          data={[
            { value: 'last_finding', label: 'Last finding first' },
            { value: 'opened', label: 'Opened last first' },
          ]}
          onChange={(value) => change({ sort: value === 'opened' ? value : null })}
        />
      </div>
      <div className="calls">
        <PagedTable
          pages={alerts}
          label="Alerts"
          columns={failures.size > 0 ? columnsWith(failures) : COLUMNS}
          rowKey={(alert) => alert.id}
          rowHeight={ROW_HEIGHT}
          onOpen={(alert) => void navigate(`/alerts/${alert.id}`)}
          {...fresh}
          selection={
            mayDecide
              ? {
                  chosen,
                  choose,
                  nameOf: (alert) => `${detectorName(alert.detector)} ${alert.entity.label || alert.entity.value}`,
                }
              : undefined
          }
          few={
            isFiltered ? (
              <p>
                That is all that fits these filters. <Link to="/alerts?state=all">Show all alerts</Link>
              </p>
            ) : states ? (
              <p>
                That is all in this state. <Link to="/alerts?state=all">Show all alerts</Link>
              </p>
            ) : (
              <p>
                That is all. A <Link to="/policies">policy</Link> can answer such alerts by itself; a{' '}
                <Link to="/hunt/saved">saved hunt</Link> raises alerts about something that you know.
              </p>
            )
          }
          empty={<NoAlerts isFiltered={isFiltered} isOfAll={states === undefined} />}
        />
        {(alerts.rows.length > 0 || alerts.isPending) && (
          <AddressFacets noun="alert" rows={alerts.rows} hasMore={alerts.hasNextPage} fields={ALERT_FIELDS} />
        )}
      </div>
      {about.length > 0 && (
        <Bulk
          chosen={about}
          failed={about.filter(({ id }) => failures.has(id)).length}
          clear={() => choose(NONE)}
          done={(failed) => {
            setChosen(new Set(failed.keys()));
            setFailures(failed);
          }}
        />
      )}
    </Page>
  );
}

function NoAlerts({ isFiltered, isOfAll }: { isFiltered: boolean; isOfAll: boolean }) {
  const ever = useQuery({
    queryKey: ['any alert'],
    queryFn: ({ signal }) => got(api.GET('/api/v1/alerts', { params: { query: { limit: 1 } }, signal })),
    enabled: !isFiltered && !isOfAll,
  });
  if (isFiltered) {
    return (
      <Empty title="No alert fits these filters.">
        <Link to="/alerts?state=all">Show all alerts</Link>
      </Empty>
    );
  }
  if (ever.data && ever.data.items.length > 0) {
    return (
      <Empty title="No alert is in this state.">
        <Link to="/alerts?state=all">Show all alerts</Link>
      </Empty>
    );
  }
  return (
    <Empty title="No alerts yet.">
      <p>
        A detector first learns what is normal for each consumer, which takes some hours of traffic. Logs that you have
        already can be brought in as history:
      </p>
      <Command>outrider replay access.ndjson --into outrider-data/ --config outrider.toml</Command>
      <p>
        Or look for something that you know: a <Link to="/hunt/saved">saved hunt</Link> raises alerts as well.
      </p>
    </Empty>
  );
}
