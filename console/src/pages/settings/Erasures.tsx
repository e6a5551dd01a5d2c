// Deleting all data of somebody, and the receipts.
import { Button, Checkbox, Select, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';

import { api, got, type Schemas } from '../../api/client';
import { ENTITY_KINDS, type EntityKind } from '../../api/types';
import { Empty, Panel, Time, Trouble } from '../../parts/basics';
import { usePages } from '../../parts/pages';
import { byWhom, count, ENTITY_WORDS } from '../../parts/words';

type Erasure = Schemas['Erasure'];
const LOOKS: Record<Erasure['state'], [string, string]> = {
  asked: ['Asked', 'accent'],
  refused: ['Refused', 'warning'],
  under_way: ['Under way', 'accent'],
  done: ['Done', 'good'],
};

export default function Erasures() {
  const erasures = usePages<Erasure>(['erasures'], (cursor, signal) =>
    got(api.GET('/api/v1/erasures', { params: { query: { limit: 50, cursor } }, signal })),
  );
  return (
    <div className="stack" style={{ gap: 16 }}>
      <Ask />
      <Panel title="Receipts" flush>
        {erasures.error && <Trouble error={erasures.error} />}
        {erasures.isSuccess && erasures.rows.length === 0 && (
          <Empty title="Nobody was erased yet.">
            <p>
              A receipt says of every place where there may have been something when it was gone, or why it is not
              covered.
            </p>
          </Empty>
        )}
        <ul className="plain">
          {erasures.rows.map((erasure) => (
            <li key={erasure.id} className="notice">
              <div className="row wraps">
                <span className={`tag ${LOOKS[erasure.state][1]}`}>{LOOKS[erasure.state][0]}</span>
                <strong>{ENTITY_WORDS[erasure.kind]}</strong> <code>{erasure.reference}</code>
                <span className="faint">
                  asked <Time ms={erasure.asked_ms} /> by {byWhom(erasure.asked_by)}
                  {erasure.done_ms && (
                    <>
                      , done <Time ms={erasure.done_ms} />
                    </>
                  )}
                </span>
              </div>
              {erasure.reason && <p className="warn">{erasure.reason}</p>}
              <details>
                <summary className="muted">Places</summary>
                <dl className="facts" style={{ marginTop: 8 }}>
                  {erasure.places.map((place) => (
                    <div key={place.place} style={{ display: 'contents' }}>
                      <dt>{place.place.replaceAll('_', ' ')}</dt>
                      <dd>
                        {place.state.replaceAll('_', ' ')} {place.done_ms && <Time ms={place.done_ms} />}{' '}
                        <span className="muted">
                          {place.counts.map((one) => `${count(one.count)} ${one.what}`).join(', ')}
                        </span>{' '}
                        {place.words}
                      </dd>
                    </div>
                  ))}
                </dl>
              </details>
            </li>
          ))}
        </ul>
        {erasures.hasNextPage && (
          <Button variant="subtle" m="xs" onClick={erasures.onEnd}>
            More
          </Button>
        )}
      </Panel>
    </div>
  );
}

function Ask() {
  const client = useQueryClient();
  const [kind, setKind] = useState<EntityKind>('consumer');
  const [value, setValue] = useState('');
  const [isSure, setSure] = useState(false);
  const asking = useMutation({
    mutationFn: () => got(api.POST('/api/v1/erasures', { body: { kind, value: value.trim() } })),
    onSuccess: async () => {
      setValue('');
      setSure(false);
      await client.invalidateQueries({ queryKey: ['erasures'] });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    asking.mutate();
  };
  return (
    <Panel title="Erase all data of somebody">
      <form className="stack" onSubmit={submit}>
        <div className="row wraps" style={{ alignItems: 'flex-start' }}>
          <Select
            label="What they are"
            w={170}
            allowDeselect={false}
            value={kind}
            data={ENTITY_KINDS.filter((one) => one !== 'network').map((one) => ({
              value: one,
              label: ENTITY_WORDS[one],
            }))}
            onChange={(chosen) => chosen && setKind(chosen)}
          />
          <TextInput
            className="spread"
            label="Their id"
            inputWrapperOrder={['label', 'input', 'description', 'error']}
            description="a consumer’s or credential’s id, an address, a pseudonym, merchant_id:4711; no name"
            required
            value={value}
            onChange={(event) => setValue(event.currentTarget.value)}
          />
        </div>
        <Checkbox
          label="I know that this cannot be undone, and that nobody is asked again"
          checked={isSure}
          onChange={(event) => setSure(event.currentTarget.checked)}
        />
        {asking.error && <Trouble error={asking.error} />}
        <div>
          <Button type="submit" color="red" disabled={!isSure || !value.trim()} loading={asking.isPending}>
            Erase
          </Button>
        </div>
      </form>
    </Panel>
  );
}
