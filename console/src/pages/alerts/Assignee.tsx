// Who looks after an alert, and giving it to somebody else.
import { Button, Select } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';

import { api, got, once } from '../../api/client';
import type { Alert } from '../../api/types';
import { decided } from '../../live/follow';
import { Trouble } from '../../parts/basics';
import { useMay, useSession } from '../../shell/session';
import { AlertTrouble } from './AlertTrouble';
import { isOnlyHistory, useForgotten } from './deciding';

const NOBODY = 'nobody';

export function Assignee({ alert }: { alert: Alert }) {
  const mayAssign = useMay('analyst');
  const isForgotten = useForgotten();
  return mayAssign && !isForgotten(alert) ? <Assigning alert={alert} /> : (alert.assignee ?? NOBODY);
}

/** Everybody who may look after an alert, for whom may give it to one of them: others are not told. */
export function useAssignees() {
  return useQuery({
    queryKey: ['assignees'],
    queryFn: ({ signal }) => got(api.GET('/api/v1/assignees', { signal })),
    enabled: useMay('analyst'),
    staleTime: 60_000,
  });
}

function Assigning({ alert }: { alert: Alert }) {
  const client = useQueryClient();
  const me = useSession().data?.person?.name;
  const people = useAssignees();
  const assign = useMutation({
    mutationFn: async (assignee: string | null) => {
      const params = { path: { id: alert.id } };
      const body = { assignee };
      const changed = await got(api.POST('/api/v1/alerts/{id}/assign', { params, body, headers: once() }));
      decided(client, 'alert', 'alerts', alert, changed);
    },
  });
  const names = people.data?.items ?? [];
  const data = names.map(({ name, display_name }) => ({ value: name, label: display_name }));
  // Who has it may be gone since.
  if (alert.assignee && !names.some(({ name }) => name === alert.assignee)) {
    data.push({ value: alert.assignee, label: alert.assignee });
  }
  return (
    <div className="stack" style={{ gap: 4 }}>
      <div className="row wraps">
        <Select
          size="xs"
          w={150}
          clearable
          searchable
          placeholder={NOBODY}
          aria-label="Assigned to"
          nothingFoundMessage="Nobody of that name may work on alerts"
          readOnly={assign.isPending || isOnlyHistory(assign.error)}
          value={alert.assignee}
          data={data}
          onChange={(value) => value !== alert.assignee && assign.mutate(value)}
        />
        {me && alert.assignee !== me && !isOnlyHistory(assign.error) && (
          <Button size="compact-xs" variant="subtle" loading={assign.isPending} onClick={() => assign.mutate(me)}>
            Take it
          </Button>
        )}
      </div>
      {assign.error ? <AlertTrouble error={assign.error} /> : people.error && <Trouble error={people.error} />}
    </div>
  );
}
