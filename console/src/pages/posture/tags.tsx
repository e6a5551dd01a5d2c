// Small parts of what is weak: its state, its id of the OWASP Top 10, whom or what it is about.
import { Link } from 'react-router';

import type { WeaknessRow, WeaknessStanding } from '../../api/types';
import { Time, timelinePath } from '../../parts/basics';
import { useEndpointName } from '../../parts/endpoint';
import { servicePath } from '../apis/service';
import { owaspTitle, owaspUrl, owaspWords } from './owasp';
import { exceptionOf, STANDING_WORDS, standingOf, type Subject } from './weakness';

const LOOKS: Record<WeaknessStanding, string> = { open: 'danger', excepted: 'accent', fixed: 'good' };

export function StandingTag({ state }: Pick<WeaknessRow, 'state'>) {
  const standing = standingOf(state);
  return <span className={`tag ${LOOKS[standing]}`}>{STANDING_WORDS[standing]}</span>;
}

/** In a table, with until when it is left. */
export function Standing({ state }: Pick<WeaknessRow, 'state'>) {
  const exception = exceptionOf(state);
  return (
    <div className="lines">
      <span>
        <StandingTag state={state} />
      </span>
      {exception && (
        <span className="faint cut" title={exception.reason}>
          ends <Time ms={exception.until_ms} relative />
        </span>
      )}
    </div>
  );
}

/** Short, for tables. */
export function OwaspId({ id }: { id: string }) {
  return (
    <span className="muted" title={owaspTitle(id) && `${owaspWords(id)}, OWASP API Security Top 10 of 2023`}>
      {id.split(':')[0]}
    </span>
  );
}

/** With the way to OWASP’s own page. */
export function OwaspLink({ id }: { id: string }) {
  const url = owaspUrl(id);
  if (!url) return id;
  return (
    <a href={url} target="_blank" rel="noreferrer">
      {owaspWords(id)}
    </a>
  );
}

/** What something is called whose id alone is known, with the way to its page. */
export function EndpointLink({ id, isWhole = false }: { id: string; isWhole?: boolean }) {
  const name = useEndpointName(id);
  return (
    <Link className={isWhole ? 'wrap' : 'cut'} to={`/apis/${id}`} title={name}>
      <code>{name}</code>
    </Link>
  );
}

/** What is weak. */
export function SubjectLink({ of, serviceName }: { of: Subject; serviceName: string }) {
  if ('endpoint' in of) return <EndpointLink id={of.endpoint} isWhole />;
  if ('service' in of) return <Link to={servicePath(of.service)}>{serviceName || of.service.service}</Link>;
  if ('route' in of) return <code className="wrap">{of.route.route}</code>;
  if ('gateway' in of)
    return (
      <Link to={`/settings/gateways?gateway=${encodeURIComponent(of.gateway.gateway)}`}>{of.gateway.gateway}</Link>
    );
  if ('consumer' in of) {
    const { gateway, consumer } = of.consumer;
    return <ConsumerLink id={consumer} gateway={gateway} />;
  }
  const { gateway, credential } = of.credential;
  return (
    <Link className="wrap" to={timelinePath({ kind: 'credential', value: credential, gateway })}>
      <code>{credential}</code>
    </Link>
  );
}

/** `name` where it is known; a gateway’s configuration names its consumers. */
export function ConsumerLink({ id, gateway, name = id }: { id: string; gateway?: string; name?: string }) {
  return (
    <Link className="cut" to={timelinePath({ kind: 'consumer', value: id, gateway })} title={id}>
      {name}
    </Link>
  );
}

export const SUBJECT_WORDS = {
  endpoint: 'Endpoint',
  service: 'Service',
  route: 'Route',
  gateway: 'Gateway',
  consumer: 'Consumer',
  credential: 'Credential',
} as const;

export function subjectWords(subject: Subject): string {
  return SUBJECT_WORDS[Object.keys(subject)[0] as keyof typeof SUBJECT_WORDS];
}
