// Words that one adds to an alert. They cannot be changed later.
import { Button, Textarea } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';

import { api, got, once } from '../../api/client';
import type { Alert } from '../../api/types';
import { decided } from '../../live/follow';
import { AlertTrouble } from './AlertTrouble';
import { isOnlyHistory } from './deciding';

const CHARS_MAX = 2000;

export function CommentForm({ alert }: { alert: Alert }) {
  const client = useQueryClient();
  const [text, setText] = useState('');
  const adding = useMutation({
    mutationFn: async () => {
      const params = { path: { id: alert.id } };
      const body = { text: text.trim() };
      const changed = await got(api.POST('/api/v1/alerts/{id}/comment', { params, body, headers: once() }));
      decided(client, 'alert', 'alerts', alert, changed);
    },
    onSuccess: () => setText(''),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    adding.mutate();
  };
  return (
    <form className="stack" style={{ gap: 8, marginBottom: 16 }} onSubmit={submit}>
      <Textarea
        size="xs"
        aria-label="Comment"
        placeholder="What you found out, for whoever comes next"
        autosize
        minRows={2}
        maxRows={10}
        maxLength={CHARS_MAX}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
      />
      {adding.error && <AlertTrouble error={adding.error} />}
      {text.trim() !== '' && !isOnlyHistory(adding.error) && (
        <div className="row">
          <span className="faint">It cannot be changed or taken away later.</span>
          <div className="spread" />
          <Button type="submit" size="xs" loading={adding.isPending}>
            Comment
          </Button>
        </div>
      )}
    </form>
  );
}
