// What a decision about templates would do to the inventory, as outrider reckons it before anything is decided.
import { Loader } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, skipToken, useQuery } from '@tanstack/react-query';

import { api, got } from '../../api/client';
import type { TemplateEffect, TemplatesForm } from '../../api/types';
import { Trouble } from '../../parts/basics';
import { useEndpointName } from '../../parts/endpoint';
import { counted } from '../../parts/words';
import { Template } from './ApisPage';
import { sorted, summary, tagOf } from './effects';
import { LeftOut } from './LeftOut';

/** While somebody types nothing is reckoned. */
const PAUSE_MS = 300;
/** No more are drawn; it is a picture of what happens, and no list to work with. */
const DRAWN_MAX = 100;

/** Of nothing while something of the form is missing. */
export function Effects({ form }: { form?: TemplatesForm }) {
  const now = JSON.stringify(form);
  const [meant] = useDebouncedValue(now, PAUSE_MS);
  const isTyping = meant !== now;
  const found = useQuery({
    queryKey: ['template effects', now],
    queryFn:
      form === undefined || isTyping
        ? skipToken
        : ({ signal }) => got(api.POST('/api/v1/templates/preview', { body: form, signal })),
    placeholderData: keepPreviousData,
    // The inventory changes with each call.
    gcTime: 0,
    retry: false,
    refetchOnWindowFocus: false,
  });
  const isOld = isTyping || found.isFetching;
  const answer = found.error && !isOld ? undefined : found.data;
  if (form === undefined) return null;
  return (
    <section className="effects" aria-label="What it would do" aria-busy={isOld}>
      <div className="row">
        <h3>What it would do now</h3>
        {isOld && <Loader size={12} color="gray" aria-hidden="true" />}
      </div>
      <p role="status" className="muted">
        {answer && !isOld ? summary(answer) : isOld && 'Reckoning…'}
      </p>
      {found.error && !isOld && <Trouble error={found.error} again={() => void found.refetch()} />}
      {answer && answer.items.length > 0 && <List effects={sorted(answer.items)} isOld={isOld} />}
      {answer && answer.left_out.length > 0 && (
        <LeftOut warnings={answer.left_out} more={answer.more_left_out}>
          {counted(answer.left_out.length + answer.more_left_out, 'operation')} of the document cannot stand as written
        </LeftOut>
      )}
    </section>
  );
}

function List({ effects, isOld }: { effects: TemplateEffect[]; isOld: boolean }) {
  const hidden = effects.length - DRAWN_MAX;
  return (
    <ul className={isOld ? 'plain is-old' : 'plain'} tabIndex={0} aria-label="Endpoints that would change">
      {effects.slice(0, DRAWN_MAX).map((effect, index) => (
        <li key={index}>
          <span className={`tag ${tagOf(effect).looks}`}>{tagOf(effect).tag}</span>
          <Said effect={effect} />
        </li>
      ))}
      {hidden > 0 && <li className="faint">and {counted(hidden, 'other')}</li>}
    </ul>
  );
}

function Said({ effect }: { effect: TemplateEffect }) {
  const method = <code className="muted">{effect.method ?? 'any method'}</code>;
  switch (effect.kind) {
    case 'renamed':
    case 'retemplated':
      return (
        <span className="wrap">
          {method} <Template text={effect.before} /> <span className="faint">becomes</span>{' '}
          <Template text={effect.after} />
        </span>
      );
    case 'merged':
      return (
        <span className="wrap">
          {method} <Template text={effect.before} /> <span className="faint">counts as</span>{' '}
          <EndpointName id={effect.into} />
        </span>
      );
    case 'made':
      return (
        <span className="wrap">
          {method} <Template text={effect.after} />
        </span>
      );
    case 'vanished':
      return (
        <span className="wrap">
          {method} <Template text={effect.before} /> <span className="faint">the inventory</span>
        </span>
      );
    case 'awaited':
      return (
        <span className="wrap">
          {method} <Template text={effect.template} /> <span className="faint">with its first call</span>
        </span>
      );
    default:
      return null;
  }
}

/** As it is called now. */
function EndpointName({ id }: { id: string }) {
  return <Template text={useEndpointName(id)} />;
}
