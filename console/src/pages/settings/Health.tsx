// How every part does, in the numbers that it gives of itself, and what was wrong lately.
import { useQuery } from '@tanstack/react-query';

import { api, got } from '../../api/client';
import { partsOf, type SilentService, type Spool } from '../../api/parts';
import { useStatus } from '../../live/now';
import { Empty, Facts, Loading, Panel, Time, Trouble } from '../../parts/basics';
import { type Column, SmallTable } from '../../parts/DataTable';
import { bytes, count, detectorName, length } from '../../parts/words';
import { NoticeRow } from '../overview/OverviewPage';
import { Enrichment, LakeAndLog } from './Stored';

/** Which process a part is in, where they run apart. */
const WHERE: Column<{ service?: string; isSilent: boolean }> = {
  id: 'where',
  head: 'At',
  width: 'minmax(0, 1fr)',
  cell: ({ service, isSilent }) =>
    service ? <span className={isSilent ? 'bad' : undefined}>{service}</span> : <span className="faint">platform</span>,
};

const SILENT: Column<SilentService>[] = [
  { id: 'name', head: 'Service', width: 'minmax(0, 1fr)', cell: (one) => <strong className="bad">{one.name}</strong> },
  { id: 'kind', head: 'Kind', width: 'minmax(0, 1fr)', cell: (one) => one.kind },
  {
    id: 'since',
    head: 'Silent since; its numbers are of then',
    width: 'minmax(0, 2fr)',
    cell: (one) => <Time ms={one.since_ms} />,
  },
];

const SPOOLS: Column<Spool>[] = [
  { ...WHERE, head: 'Collector', width: 'minmax(0, 2fr)' },
  { id: 'size', head: 'Size', width: '96px', isNumber: true, cell: (spool) => bytes(spool.bytes) },
  {
    id: 'waiting',
    head: 'Records waiting',
    width: '120px',
    isNumber: true,
    cell: (spool) => count(spool.records_waiting),
  },
  {
    id: 'lag',
    head: 'Oldest waits for',
    width: '120px',
    isNumber: true,
    cell: (spool) => (spool.lag_ms > 0 ? length(spool.lag_ms) : '–'),
  },
  {
    id: 'dropped',
    head: 'Calls dropped',
    width: '110px',
    isNumber: true,
    cell: (spool) => count(spool.dropped_calls),
  },
];

export function Health() {
  const status = useStatus();
  if (status.error) return <Trouble error={status.error} again={() => void status.refetch()} />;
  if (!status.data) return <Loading lines={8} />;
  const { platform, enrichment, version, installation } = status.data;
  const { sources, responders, spools, silent } = partsOf(status.data);
  const isApart = [...sources, ...responders].some((part) => part.service) || silent.length > 0;
  return (
    <div className="stack" style={{ gap: 16 }}>
      <Notices />
      {silent.length > 0 && (
        <Panel title="Silent services" flush>
          <SmallTable label="Silent services" rows={silent} rowKey={(one) => one.name} columns={SILENT} />
        </Panel>
      )}
      <Panel title="Sources of logs" flush>
        <SmallTable
          label="Sources"
          rows={sources}
          rowKey={({ service = '', name }) => `${service} ${name}`}
          columns={[
            {
              id: 'name',
              head: 'Source',
              width: 'minmax(0, 2fr)',
              cell: (source) => <code title={source.name}>{source.name}</code>,
            },
            ...(isApart ? [WHERE] : []),
            {
              id: 'open',
              head: 'Connections',
              width: '96px',
              isNumber: true,
              cell: (source) => count(source.connections_open),
            },
            {
              id: 'lines',
              head: 'Lines',
              width: '96px',
              isNumber: true,
              cell: (source) => count(source.received),
            },
            {
              id: 'calls',
              head: 'Calls',
              width: '96px',
              isNumber: true,
              cell: (source) => count(source.accepted),
            },
            {
              id: 'dropped',
              head: 'Dropped',
              width: '84px',
              isNumber: true,
              cell: (source) => count(source.dropped),
            },
            {
              id: 'rejected',
              head: 'Rejected',
              width: '84px',
              isNumber: true,
              cell: (source) => count(source.rejected),
            },
            {
              id: 'untrusted',
              head: 'Untrusted',
              width: '84px',
              isNumber: true,
              cell: (source) => count(source.untrusted),
            },
            {
              id: 'last',
              head: 'Last line',
              width: '84px',
              isNumber: true,
              cell: (source) => <Time ms={source.last_received_ms} relative />,
            },
          ]}
        />
        {sources.length === 0 && (
          <p className="muted" style={{ padding: 16 }}>
            None: neither this process nor a collector elsewhere says that it has one.
          </p>
        )}
      </Panel>
      {spools.length > 0 && (
        <Panel title="Spools of collectors elsewhere" flush>
          <SmallTable label="Spools" rows={spools} rowKey={({ service = '' }) => service} columns={SPOOLS} />
        </Panel>
      )}
      <Panel title="Responders" flush>
        <SmallTable
          label="Responders"
          rows={responders}
          rowKey={(one) => one.gateway}
          columns={[
            { id: 'gateway', head: 'Gateway', width: 'minmax(0, 1fr)', cell: (one) => one.gateway },
            ...(isApart ? [WHERE] : []),
            {
              id: 'state',
              head: 'State',
              width: 'minmax(0, 1.6fr)',
              cell: (one) =>
                one.isSilent ? (
                  <span className="bad">silent</span>
                ) : (one.failure ?? one.guard_problem) ? (
                  <span className="bad" title={one.failure ?? one.guard_problem}>
                    {one.failure ?? one.guard_problem}
                  </span>
                ) : (
                  <span className="ok">in step</span>
                ),
            },
            { id: 'held', head: 'Plugins held', width: '96px', isNumber: true, cell: (one) => count(one.own_plugins) },
            { id: 'written', head: 'Written', width: '84px', isNumber: true, cell: (one) => count(one.written) },
            { id: 'deleted', head: 'Taken away', width: '84px', isNumber: true, cell: (one) => count(one.deleted) },
            { id: 'repaired', head: 'Repaired', width: '84px', isNumber: true, cell: (one) => count(one.repaired) },
            {
              id: 'looked',
              head: 'Looked',
              width: '84px',
              isNumber: true,
              cell: (one) => <Time ms={one.listed_ms} relative />,
            },
          ]}
        />
        {responders.length === 0 && (
          <p className="muted" style={{ padding: 16 }}>
            None: no gateway has an Admin API configured, neither in this process nor at a responder elsewhere.
          </p>
        )}
      </Panel>
      <Panel title="Detectors" flush>
        <SmallTable
          label="Detectors"
          rows={platform?.analysis?.detectors ?? []}
          rowKey={(detector) => detector.name}
          columns={[
            { id: 'name', head: 'Detector', width: 'minmax(0, 1fr)', cell: (detector) => detectorName(detector.name) },
            {
              id: 'state',
              head: 'State',
              width: 'minmax(0, 1fr)',
              cell: (detector) =>
                detector.failure ? (
                  <span className="bad" title={detector.failure}>
                    {detector.failure}
                  </span>
                ) : (
                  <span className="ok">in use</span>
                ),
            },
            {
              id: 'profiles',
              head: 'Profiles',
              width: '96px',
              isNumber: true,
              cell: (detector) => count(detector.counters?.['profiles']),
            },
            {
              id: 'memory',
              head: 'Memory',
              width: '96px',
              isNumber: true,
              cell: (detector) => bytes(detector.memory_bytes),
            },
          ]}
        />
      </Panel>
      {enrichment && <Enrichment enrichment={enrichment} />}
      <div className="overview">
        <LakeAndLog platform={platform} />
        <Panel title="This outrider">
          <Facts
            facts={[
              ['Version', version],
              ['Installation', <code key="i">{installation}</code>],
            ]}
          />
        </Panel>
      </div>
    </div>
  );
}

function Notices() {
  const notices = useQuery({
    queryKey: ['now', 'notices', 'newest'],
    queryFn: ({ signal }) => got(api.GET('/api/v1/notices', { params: { query: { limit: 20 } }, signal })),
  });
  const items = notices.data?.items ?? [];
  return (
    <Panel title="Notices" flush after={<span className="faint">open ones and the newest closed ones</span>}>
      {notices.error && <Trouble error={notices.error} />}
      {notices.data && items.length === 0 && (
        <Empty title="Nothing was wrong so far.">
          <p>What goes wrong with outrider itself is noticed here, with what to do about it.</p>
        </Empty>
      )}
      <ul className="plain">
        {items.map((notice) => (
          <NoticeRow key={notice.id} notice={notice} />
        ))}
      </ul>
    </Panel>
  );
}
