// Which data an endpoint is sent, in which parameters and by whom; and what of its bodies is not seen.
import type { DataClassCount, EndpointInventory, UnreadBodies } from '../../api/types';
import { Command, Panel, Time } from '../../parts/basics';
import { type Column, SmallTable } from '../../parts/DataTable';
import { count, counted, share } from '../../parts/words';
import { classWords } from './classes';
import { useConsumerNames } from './reading';
import { ConsumerLink } from './tags';

const COLUMNS: Column<DataClassCount>[] = [
  {
    id: 'class',
    head: 'Class',
    width: 'minmax(0, 1fr)',
    cell: (row) => (
      <>
        <span title={row.class}>{classWords(row.class)}</span>{' '}
        {!row.is_decided && (
          <span
            className="faint"
            title="too few values, or too few different ones, to say so: it counts for nothing yet"
          >
            perhaps
          </span>
        )}
      </>
    ),
  },
  { id: 'location', head: 'In', width: '52px', cell: ({ location }) => <span className="muted">{location}</span> },
  {
    id: 'name',
    head: 'Parameter',
    width: 'minmax(0, 1.1fr)',
    cell: ({ name }) => <code title={name}>{name}</code>,
  },
  {
    id: 'values',
    head: 'Values',
    width: '110px',
    isNumber: true,
    cell: ({ values, of, distinct, confidence_percent }) => (
      <span
        title={`at least ${count(distinct)} different ones, each sure to ${count(confidence_percent)} % in the mean`}
      >
        {count(values)} <span className="faint">of {count(of)}</span>
      </span>
    ),
  },
  {
    id: 'replaced',
    head: <span title="that the collector replaced by pseudonyms">Pseudonyms</span>,
    width: '82px',
    isNumber: true,
    cell: ({ values, replaced }) => (values > 0 ? share(replaced / values) : '–'),
  },
  {
    id: 'seen',
    head: 'Seen last',
    width: '72px',
    isNumber: true,
    cell: ({ last_seen_ms }) => <Time ms={last_seen_ms} relative />,
  },
];

export function DataOf({ known, gateway }: { known: EndpointInventory; gateway: string }) {
  // What is decided comes first; the rest as the API has it.
  const rows = known.data_classes.toSorted((one, other) => Number(other.is_decided) - Number(one.is_decided));
  return (
    <Panel title="Data that it is sent" flush>
      {rows.length === 0 ? (
        <p className="muted padded">
          No class of data was seen in its path, query, headers and mapped fields, of {counted(known.read, 'call')} that{' '}
          {known.read === 1 ? 'was' : 'were'} read.
        </p>
      ) : (
        <SmallTable
          label="Data classes"
          rows={rows}
          columns={COLUMNS}
          rowKey={(row) => `${row.location} ${row.name} ${row.class}`}
        />
      )}
      {known.class_senders.length > 0 && <Senders known={known} gateway={gateway} />}
      {known.unread_bodies && <Unread of={known.unread_bodies} />}
    </Panel>
  );
}

/** Those that sent most of each class that is somebody’s. */
function Senders({ known, gateway }: { known: EndpointInventory; gateway: string }) {
  const names = useConsumerNames([gateway]);
  const classes = [...new Set(known.class_senders.map((sender) => sender.class))];
  return (
    <div className="senders">
      <h3>Who sent most of it</h3>
      <dl className="facts">
        {classes.map((name) => (
          <div key={name} style={{ display: 'contents' }}>
            <dt>{classWords(name)}</dt>
            <dd className="row wraps">
              {known.class_senders
                .filter((sender) => sender.class === name)
                .map(({ consumer, values }) => (
                  <span key={consumer} className="row sender" title={counted(values, 'value')}>
                    <ConsumerLink id={consumer} gateway={gateway} name={names.get(consumer)} />
                    <span className="faint number">{count(values)}</span>
                  </span>
                ))}
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function Unread({ of: { why, requests, responses, pre_function, custom_field, mapping } }: { of: UnreadBodies }) {
  const what = requests && responses ? 'requests and answers' : requests ? 'requests' : 'answers';
  return (
    <div className="unread">
      <p role="note">
        <strong>Not seen: the bodies of its {what}.</strong> {why}.
      </p>
      {requests && (
        <details>
          <summary>How to have a part of a request’s body seen</summary>
          <ol className="first-steps">
            <li>
              Kong’s Pre-Function on the route, in its <code>access</code> phase, leaves one named part for the log. Put
              yours in the place of <code>email</code>:<Command>{pre_function.trimEnd()}</Command>
            </li>
            <li>
              In <code>custom_fields_by_lua</code> of the log plugin:<Command>{custom_field}</Command>
            </li>
            <li>
              In outrider.toml, so that it leaves the collector as a pseudonym whose class is known:
              <Command>{mapping.trimEnd()}</Command>
            </li>
          </ol>
        </details>
      )}
    </div>
  );
}
