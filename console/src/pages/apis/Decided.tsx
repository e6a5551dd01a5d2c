// What people decided about the templates of a service. Learning goes on below, and shows again where one is taken back.
import { Button } from '@mantine/core';
import { useState } from 'react';

import type { TemplateRow } from '../../api/types';
import { Loading, Panel, Time, Trouble } from '../../parts/basics';
import { type Column, SmallTable } from '../../parts/DataTable';
import { byWhom } from '../../parts/words';
import { useMay } from '../../shell/session';
import { Template } from './ApisPage';
import { changeWords } from './correcting';
import { DecideDialog } from './DecideDialog';
import { isOf, type ServiceKey, useTemplates } from './service';

export function Decided({ of }: { of: ServiceKey }) {
  const mayDecide = useMay('responder');
  const templates = useTemplates();
  const [chosen, setChosen] = useState<TemplateRow>();
  const rows = templates.data?.items.filter(({ decision }) => isOf(of, decision)) ?? [];
  const columns = mayDecide ? [...COLUMNS, takeBackColumn(setChosen)] : COLUMNS;
  return (
    <Panel title="Decided by people" flush>
      {templates.error && (
        <div className="padded">
          <Trouble error={templates.error} again={() => void templates.refetch()} />
        </div>
      )}
      {templates.isPending && (
        <div className="padded">
          <Loading lines={2} />
        </div>
      )}
      {templates.data && rows.length === 0 && (
        <p className="muted padded">
          Nothing: all templates are as they were learned.{' '}
          {mayDecide &&
            'An endpoint’s page corrects one that is wrong: it is renamed, split, merged, pinned or ignored.'}
        </p>
      )}
      {rows.length > 0 && (
        <SmallTable label="Decided by people" rows={rows} columns={columns} rowKey={({ id }) => id} />
      )}
      {chosen && <TakeBack row={chosen} close={() => setChosen(undefined)} />}
    </Panel>
  );
}

const COLUMNS: Column<TemplateRow>[] = [
  {
    id: 'what',
    head: 'Decision',
    width: 'minmax(0, 1fr)',
    cell: ({ decision }) => (
      <div className="lines">
        <span className="wrap">{changeWords(decision.change)}</span>
        <Template text={decision.template} />
      </div>
    ),
  },
  {
    id: 'by',
    head: 'By',
    width: 'minmax(0, 110px)',
    cell: ({ decision: { origin }, decided_by, decided_ms }) => (
      <div className="lines">
        <span className="cut" title={origin === 'operator' ? undefined : `from the document ${origin.document.name}`}>
          {byWhom(decided_by)}
        </span>
        <span className="faint">
          <Time ms={decided_ms} relative />
        </span>
      </div>
    ),
  },
];

function takeBackColumn(choose: (row: TemplateRow) => void): Column<TemplateRow> {
  return {
    id: 'back',
    head: <span className="hidden-label">Take back</span>,
    width: '84px',
    isNumber: true,
    cell: (row) => (
      <Button size="compact-xs" variant="default" onClick={() => choose(row)}>
        Take back
      </Button>
    ),
  };
}

function TakeBack({ row: { id, decision }, close }: { row: TemplateRow; close: () => void }) {
  return (
    <DecideDialog
      title="Take this decision back"
      explanation={
        <>
          {changeWords(decision.change)} in <Template text={decision.template} />. What was learned below it stands
          again, as if it had never been decided.
        </>
      }
      action="Take back"
      form={{ taken_back: [id], decisions: [] }}
      close={close}
    />
  );
}
