// The same decision about all alerts that are chosen. Those of which it failed stay chosen, and their rows say why.
import { Button, CloseButton } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import type { Alert } from '../../api/types';
import { decided } from '../../live/follow';
import { ReasonDialog } from '../../parts/Dialog';
import {
  CONSEQUENCES,
  type Decision,
  DECISION_WORDS,
  DECISIONS,
  decide,
  eachOf,
  isPossible,
  useForgotten,
} from './deciding';

/** The button that was pressed goes away with what was chosen; keys go on among the rows. */
function backToRows() {
  document.querySelector<HTMLElement>('.table-scroll')?.focus();
}

interface Props {
  chosen: Alert[];
  /** Of how many of them the last decision failed. */
  failed: number;
  /** Told of which it failed, and why; nothing else stays chosen. */
  done: (failures: Map<string, string>) => void;
  clear: () => void;
}

export function Bulk({ chosen, failed, done, clear }: Props) {
  const client = useQueryClient();
  const isForgotten = useForgotten();
  const [asking, setAsking] = useState<Exclude<Decision, 'acknowledge'>>();
  const deciding = useMutation({
    mutationFn: ({ decision, reason }: { decision: Decision; reason: string }) =>
      eachOf(about(decision), async (alert) =>
        decided(client, 'alert', 'alerts', alert, await decide(decision, alert, reason)),
      ),
    onSuccess: (failures) => {
      done(failures);
      backToRows();
    },
  });
  const about = (decision: Decision) => chosen.filter((alert) => isPossible(decision, alert.state, isForgotten(alert)));
  const words = (number: number) => (number === 1 ? '1 alert' : `${number} alerts`);
  return (
    <div className="bulk" role="toolbar" aria-label="Chosen alerts">
      <span className="number" role="status">
        {words(chosen.length)} chosen{failed > 0 && ` · ${failed} not done`}
      </span>
      {DECISIONS.filter((decision) => about(decision).length > 0).map((decision) => (
        <Button
          key={decision}
          size="xs"
          variant="default"
          loading={deciding.isPending && deciding.variables.decision === decision}
          disabled={deciding.isPending}
          onClick={() => (decision === 'acknowledge' ? deciding.mutate({ decision, reason: '' }) : setAsking(decision))}
        >
          {DECISION_WORDS[decision]} {about(decision).length < chosen.length && about(decision).length}
        </Button>
      ))}
      <CloseButton size="sm" aria-label="Choose none" onClick={clear} />
      {asking && (
        <ReasonDialog
          title={`${DECISION_WORDS[asking]}: ${words(about(asking).length)}`}
          explanation={CONSEQUENCES[asking]}
          action={DECISION_WORDS[asking]}
          close={() => setAsking(undefined)}
          decide={(reason) => deciding.mutateAsync({ decision: asking, reason })}
        />
      )}
    </div>
  );
}
