// What outrider keeps, and the files that it knows places and networks from.
import type { EnrichmentStatus, Retention, Status } from '../../api/status';
import { type Fact, Facts, Panel, Time, useNow } from '../../parts/basics';
import { type Column, SmallTable } from '../../parts/DataTable';
import { keptWords } from '../../parts/keeping';
import { bytes, count, counted } from '../../parts/words';
import { type EnrichmentFile, filesOf } from './files';

export function LakeAndLog({ platform }: { platform: Status['platform'] }) {
  const progress = platform?.progress;
  const failures = (progress?.lake_failures ?? 0) + (progress?.lake_keeping_failures ?? 0);
  const facts: Fact[] = [
    ['Calls written', `${count(progress?.lake_rows)} since the start`],
    ['Size', `${bytes(progress?.lake_bytes)} in ${counted(progress?.lake_files, 'file')}`],
    ['Oldest day', progress?.lake_oldest_day ? `${progress.lake_oldest_day} (UTC)` : 'none yet'],
    ['Keeps', <Kept key="k" retention={platform?.lake_retention} />],
    ['Taken out', `${counted(progress?.lake_days_removed ?? 0, 'day')} since the start`],
    ...(failures > 0
      ? ([
          [
            'Failures',
            <span key="f" className="bad">
              {count(failures)} since the start{progress?.lake_error && `, the last one: ${progress.lake_error}`}
            </span>,
          ],
        ] as Fact[])
      : []),
    ['Log', `${bytes(platform?.log?.bytes)}, newest record ${count(platform?.log?.last)}`],
    ['Calls missing', count(platform?.log?.missing_calls)],
  ];
  return (
    <Panel title="Lake and log">
      <Facts facts={facts} />
    </Panel>
  );
}

function Kept({ retention }: { retention: Retention | null | undefined }) {
  if (!retention) return <>{retention === null ? 'nothing: there is no lake' : '–'}</>;
  return <span title="lake.retention_days and lake.size_bytes_max in the configuration">{keptWords(retention)}</span>;
}

const FILES: Column<EnrichmentFile>[] = [
  { id: 'file', head: 'File', width: 'minmax(0, 1.4fr)', cell: ({ file }) => <code title={file}>{file}</code> },
  { id: 'what', head: 'What', width: 'minmax(0, 1fr)', cell: ({ what }) => <span title={what}>{what}</span> },
  {
    id: 'state',
    head: 'State',
    width: 'minmax(0, 1.6fr)',
    cell: (one) => <FileState one={one} />,
  },
  { id: 'holds', head: 'Holds', width: '110px', isNumber: true, cell: ({ holds }) => holds },
  {
    id: 'built',
    head: 'Built',
    width: '84px',
    isNumber: true,
    cell: ({ builtMs, isOld }) => (
      <span className={isOld ? 'warn' : undefined}>
        <Time ms={builtMs} relative />
      </span>
    ),
  },
  { id: 'read', head: 'Read', width: '84px', isNumber: true, cell: ({ readMs }) => <Time ms={readMs} relative /> },
];

/** One that cannot be used leaves the one before in force, if there was one. */
function FileState({ one: { problem, readMs, badLines, isOld } }: { one: EnrichmentFile }) {
  if (problem) {
    const words = readMs === undefined ? problem : `the one before is in force: ${problem}`;
    return (
      <span className="bad" title={words}>
        {words}
      </span>
    );
  }
  if (readMs === undefined) return <span className="faint">not read yet</span>;
  if (badLines > 0) return <span className="warn">in force; {counted(badLines, 'line')} left out</span>;
  if (isOld) return <span className="warn">in force; older than 60 days</span>;
  return <span className="ok">in force</span>;
}

export function Enrichment({ enrichment }: { enrichment: EnrichmentStatus }) {
  const now = useNow();
  const files = filesOf(enrichment, now);
  const { lookup_failures: lookups = 0, batches_not_enriched: batches = 0 } = enrichment;
  return (
    <Panel
      title="Enrichment"
      flush
      after={
        <span className="faint number">
          {count(enrichment.located_calls)} of {counted(enrichment.calls, 'call')} with a country
          {lookups > 0 && `; ${counted(lookups, 'lookup')} failed`}
          {batches > 0 && `; ${counted(batches, 'batch', 'batches')} stored without`}
        </span>
      }
    >
      {files.length > 0 ? (
        <SmallTable
          label="Files of enrichment"
          rows={files}
          columns={FILES}
          rowKey={({ what, file }) => `${what} ${file}`}
        />
      ) : (
        <p className="muted" style={{ padding: 16 }}>
          No files: enrich.databases and enrich.lists in the configuration name those for countries and networks.
        </p>
      )}
    </Panel>
  );
}
