// Asks before templates are decided about, and shows what that would do.
import { useQueryClient } from '@tanstack/react-query';
import type { ReactNode } from 'react';

import { api, got, once } from '../../api/client';
import type { TemplatesForm } from '../../api/types';
import { ReasonDialog } from '../../parts/Dialog';
import { Effects } from './Effects';
import { decided } from './service';

interface Props {
  title: string;
  explanation: ReactNode;
  action: string;
  form: TemplatesForm;
  close: () => void;
}

export function DecideDialog({ form, ...said }: Props) {
  const client = useQueryClient();
  return (
    <ReasonDialog
      {...said}
      needsNoReason
      wide
      decide={async () => {
        await got(api.POST('/api/v1/templates', { body: form, headers: once() }));
        await decided(client);
      }}
    >
      <Effects form={form} />
    </ReasonDialog>
  );
}
