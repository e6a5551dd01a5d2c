// Everything that restricts somebody, or did: by state, with the reason, until when, and what the gateway holds.
import { Link, useNavigate } from 'react-router';

import { api, got } from '../../api/client';
import { type Action, type ActionState, ACTIVE_STATES } from '../../api/types';
import { useAddress } from '../../parts/address';
import { Command, Empty, EntityLink, Page, Time } from '../../parts/basics';
import { type Column, PagedTable } from '../../parts/DataTable';
import { Field } from '../../parts/Field';
import { NameField } from '../../parts/NameField';
import { useFresh, usePages } from '../../parts/pages';
import { byWhom, doing, scopeWords } from '../../parts/words';
import { useMay } from '../../shell/session';
import { STATE, UNTIL } from './columns';
import { ActionDecisions, KillSwitch } from './decisions';
import { Held } from './Held';

const GROUPS: { id: string; name: string; states?: ActionState[] }[] = [
  { id: 'active', name: 'Active', states: ACTIVE_STATES },
  { id: 'proposed', name: 'Wait for approval', states: ['proposed'] },
  { id: 'ended', name: 'Ended', states: ['released', 'rejected', 'too_late'] },
  { id: 'failed', name: 'Failed', states: ['failed'] },
  { id: 'all', name: 'All' },
];

const COLUMNS: Column<Action>[] = [
  STATE,
  {
    id: 'whom',
    head: 'Whom',
    width: 'minmax(0, 0.8fr)',
    cell: (action) => (
      <div className="lines">
        <EntityLink entity={action.target} />
        <span className="faint cut">at {action.target.gateway}</span>
      </div>
    ),
  },
  {
    id: 'what',
    head: 'What',
    width: 'minmax(0, 1fr)',
    cell: (action) => (
      <div className="lines">
        <Link className="whole cut" to={`/responses/${action.id}`}>
          {doing(action.kind)}
        </Link>
        <span className="faint cut">{scopeWords(action.scope)}</span>
      </div>
    ),
  },
  {
    id: 'why',
    head: 'Why',
    width: 'minmax(0, 3.2fr)',
    cell: ({ origin, reason, state_reason }) => {
      const by = origin.kind === 'policy' ? `policy ${origin.name}` : origin.name;
      return (
        <div className="lines">
          <span className="cut" title={reason}>
            {reason.startsWith(`${by}: `) ? reason.slice(by.length + 2) : reason}
          </span>
          <span className="faint cut" title={state_reason}>
            {byWhom(by)}
            {state_reason && ` · ${state_reason}`}
          </span>
        </div>
      );
    },
  },
  {
    id: 'since',
    head: 'Since',
    width: '116px',
    isNumber: true,
    needsRoom: true,
    cell: (action) => <Time ms={action.created_ms} />,
  },
  UNTIL,
];

const DECIDE: Column<Action> = {
  id: 'do',
  head: <span className="hidden-label">Decide</span>,
  width: '134px',
  isNumber: true,
  cell: (action) => <ActionDecisions action={action} />,
};

const CONSUMERS = ['consumer'];

/** What the API sorts actions by. */
const CREATED = (action: Action) => action.created_ms;

/** Whether an action is in the list as it is filtered: what the API does, for actions that its stream tells of. */
function fits(
  { state, target }: Action,
  filter: { state?: ActionState[]; target?: string; gateway?: string },
): boolean {
  return (
    (filter.state === undefined || filter.state.includes(state)) &&
    (filter.target === undefined || target.value === filter.target || target.label === filter.target) &&
    (filter.gateway === undefined || target.gateway === filter.gateway)
  );
}

export default function ResponsesPage() {
  const [query] = useAddress();
  const navigate = useNavigate();
  const group = GROUPS.find((one) => one.id === (query.get('group') ?? 'active')) ?? GROUPS[0]!;
  const filter = {
    state: group.states,
    target: query.get('target') ?? undefined,
    gateway: query.get('gateway') ?? undefined,
  };
  const actions = usePages(['actions', filter], (cursor, signal) =>
    got(api.GET('/api/v1/actions', { params: { query: { ...filter, limit: 100, cursor } }, signal })),
  );
  const isFiltered = Boolean(filter.target ?? filter.gateway);
  const fresh = useFresh('actions', actions, CREATED, (action) => fits(action, filter));
  const mayAct = useMay('responder');
  const isOver = group.id === 'ended' || group.id === 'failed';
  return (
    <Page
      title="Responses"
      full
      after={
        <>
          <nav className="tabs" aria-label="State">
            {GROUPS.map((one) => (
              <Link
                key={one.id}
                to={one.id === 'active' ? '/responses' : `/responses?group=${one.id}`}
                replace
                className={one === group ? 'active' : ''}
                aria-current={one === group ? 'true' : undefined}
              >
                {one.name}
              </Link>
            ))}
          </nav>
          <div className="spread" />
          <KillSwitch />
        </>
      }
    >
      <div className="filters">
        <NameField
          label="Consumer name or id"
          name="target"
          known={actions.rows.map(({ target }) => target.label || target.value)}
          fields={CONSUMERS}
          width={210}
          isSearch
        />
        <Field label="Gateway" name="gateway" />
        <div className="spread" />
        <Held />
      </div>
      <PagedTable
        pages={actions}
        label="Actions"
        columns={mayAct && !isOver ? [...COLUMNS, DECIDE] : COLUMNS}
        rowKey={(action) => action.id}
        rowHeight={54}
        onOpen={(action) => void navigate(`/responses/${action.id}`)}
        {...fresh}
        few={
          isFiltered ? (
            <p>
              That is all that fits these filters. <Link to="/responses?group=all">Show all actions</Link>
            </p>
          ) : group.id === 'all' ? (
            <p>
              That is all. <Link to="/policies">Policies</Link> say who is blocked by itself, and what their guard rails
              are.
            </p>
          ) : (
            <p>
              That is all in this state. <Link to="/responses?group=all">Show all states</Link>
            </p>
          )
        }
        empty={<NoActions group={group.id} isFiltered={isFiltered} />}
      />
    </Page>
  );
}

export function NoActions({ group, isFiltered }: { group: string; isFiltered: boolean }) {
  const mayAct = useMay('responder');
  if (isFiltered) {
    return (
      <Empty title="No action fits these filters.">
        <Link to="/responses?group=all">Show all actions</Link>
      </Empty>
    );
  }
  if (group === 'proposed') {
    return (
      <Empty title="Nothing waits for approval.">
        <p>
          Where a policy would block somebody whom the <Link to="/policies">guard rails</Link> call large, or whom it
          may not block, it asks here.
        </p>
      </Empty>
    );
  }
  if (group === 'ended' || group === 'failed') {
    return (
      <Empty title={group === 'ended' ? 'Nothing has ended yet.' : 'Nothing failed.'}>
        <p>
          {group === 'ended'
            ? 'Blocks and limits that are over, rejected or came too late stay here with their reasons. '
            : 'An action that the gateway does not take is here, with what it said. '}
          <Link to="/responses?group=all">Show all states</Link>
        </p>
      </Empty>
    );
  }
  return (
    <Empty title="Nobody is blocked or limited.">
      {mayAct ? (
        <p>
          An alert’s page has “Block now”. A <Link to="/policies/new">policy</Link> acts by itself, once its mode is
          “enforce”.
        </p>
      ) : (
        <p>
          Whoever has the role responder blocks from an alert’s page. A <Link to="/policies">policy</Link> acts by
          itself, once its mode is “enforce”.
        </p>
      )}
      <p>
        Should everything else fail, this takes every block away, on the machine beside the gateway and without the rest
        of outrider:
      </p>
      <Command>outrider responder release-all --config outrider.toml</Command>
    </Empty>
  );
}
