// The smallest parts: times, tags, entities, commands, what is empty and what went wrong.
import { ActionIcon, CopyButton } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { type PointerEvent, type ReactNode, useEffect, useId, useState, useSyncExternalStore } from 'react';
import { Link } from 'react-router';

import { Refusal } from '../api/client';
import type { ActionState, AlertState, EntityKey, Severity } from '../api/types';
import { PlaceBeside } from './Beside';
import { ACTION_STATE_WORDS, ago, ALERT_STATE_WORDS, ENTITY_WORDS, isToday, local, utc } from './words';

/** The time, again every so often. */
export function useNow(everyMs = 15_000): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

const listeners = new Set<() => void>();
let clock = Date.now();
let ticking: ReturnType<typeof setInterval> | undefined;

function tick(): void {
  clock = Date.now();
  listeners.forEach((tell) => tell());
}

function onTick(listener: () => void): () => void {
  if (listeners.size === 0) {
    clock = Date.now();
    ticking = setInterval(tick, 1000);
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) clearInterval(ticking);
  };
}

/** Words that depend on the time: one clock for all of them, and nothing is drawn again whose words stay the same. */
function useWords(say: (now: number) => string): string {
  return useSyncExternalStore(onTick, () => say(clock));
}

interface TimeOf {
  ms: number | null | undefined;
  relative?: boolean;
  isExact?: boolean;
}

/** Local time, with UTC on hover; to the millisecond where many things happen in a second. */
export function Time({ ms, relative = false, isExact = false }: TimeOf) {
  if (ms === null || ms === undefined || ms <= 0) return <span className="faint">–</span>;
  return <Moment ms={ms} relative={relative} isExact={isExact} />;
}

function Moment({ ms, relative, isExact }: Required<TimeOf> & { ms: number }) {
  const words = useWords((now) => (relative ? ago(ms, now) : isToday(ms, now) ? 'today' : 'before'));
  const shown = relative ? words : local(ms);
  const tell = (event: PointerEvent<HTMLElement>) => {
    event.currentTarget.title = `${utc(ms)}\n${relative ? local(ms) : ago(ms)}`;
  };
  return (
    <time className="number" dateTime={new Date(ms).toISOString()} title={utc(ms)} onPointerEnter={tell}>
      {shown}
      {isExact && <span className="faint">.{String(Math.floor(ms % 1000)).padStart(3, '0')}</span>}
    </time>
  );
}

export function SeverityTag({ severity }: { severity: Severity }) {
  return <span className={`tag dot ${severity}`}>{severity.charAt(0).toUpperCase() + severity.slice(1)}</span>;
}

const ALERT_LOOKS: Record<AlertState, string> = {
  open: 'danger',
  acknowledged: 'accent',
  resolved: 'good',
  false_positive: '',
};

export function AlertStateTag({ state }: { state: AlertState }) {
  return <span className={`tag ${ALERT_LOOKS[state]}`}>{ALERT_STATE_WORDS[state]}</span>;
}

const ACTION_LOOKS: Record<ActionState, string> = {
  proposed: 'warning',
  approved: 'accent',
  rejected: '',
  pending: 'accent',
  stored: 'accent',
  in_force: 'danger',
  releasing: 'accent',
  released: 'good',
  failed: 'warning',
  too_late: '',
};

export function ActionStateTag({ state }: { state: ActionState }) {
  return <span className={`tag dot ${ACTION_LOOKS[state]}`}>{ACTION_STATE_WORDS[state]}</span>;
}

export function StatusCode({ status, refused }: { status: number; refused?: boolean }) {
  const looks = refused ? 'refused' : `s${Math.floor(status / 100)}`;
  return (
    <span className={`status ${looks}`} title={refused ? 'refused by a block or limit of outrider' : undefined}>
      {status}
    </span>
  );
}

export function timelinePath(
  entity: Pick<EntityKey, 'kind' | 'value'> & { gateway?: string },
  more: Record<string, string> = {},
): string {
  const query = new URLSearchParams({ kind: entity.kind, entity: entity.value, ...more });
  if (entity.gateway) query.set('gateway', entity.gateway);
  return `/timeline?${query.toString()}`;
}

/** Where the page is of whom something is about. A service and a gateway never act, so they have no timeline. */
export function entityPath(entity: EntityKey): string {
  const { kind, gateway, workspace, value } = entity;
  if (kind === 'service') {
    return `/apis/service?${new URLSearchParams({ gateway, workspace, service: value }).toString()}`;
  }
  return kind === 'gateway' ? '/settings/gateways' : timelinePath(entity);
}

/** Whom something is about, with the way to their page. */
export function EntityLink({ entity }: { entity: EntityKey }) {
  const name = entity.label || entity.value;
  return (
    <Link
      className="cut"
      to={entityPath(entity)}
      title={`${ENTITY_WORDS[entity.kind]} ${name} at ${entity.gateway}\n${entity.value}`}
    >
      {name}
    </Link>
  );
}

/** A command to be run in a terminal. */
export function Command({ children }: { children: string }) {
  return (
    <div className="command">
      <code>{children}</code>
      <Copy value={children} />
    </div>
  );
}

export function Copy({ value, label = 'Copy' }: { value: string; label?: string }) {
  return (
    <CopyButton value={value}>
      {({ copied, copy }) => (
        <ActionIcon variant="subtle" size="sm" color="gray" aria-label={label} title={label} onClick={copy}>
          {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
        </ActionIcon>
      )}
    </CopyButton>
  );
}

/** Nothing is here: why, and what comes next. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <strong>{title}</strong>
      {children}
    </div>
  );
}

/** What went wrong, and what to do. */
export function Trouble({ error, again }: { error: unknown; again?: () => void }) {
  const refusal =
    error instanceof Refusal ? error : new Refusal(0, error instanceof Error ? error.message : String(error));
  const titles: Record<number, string> = {
    0: 'outrider is away',
    403: 'Not allowed',
    404: 'Not found',
    429: 'Too much at once',
  };
  return (
    <div className="trouble" role="alert">
      <strong>{titles[refusal.status] ?? 'That did not work'}</strong>
      <span className="wrap">
        {refusal.message}
        {refusal.where ? ` (${refusal.where})` : ''}
      </span>
      {refusal.hint && <span className="muted wrap">{refusal.hint}</span>}
      {again && (
        <button type="button" className="link-button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Loading({ lines = 4 }: { lines?: number }) {
  return (
    <div className="stack" role="group" aria-busy="true" aria-label="Loading">
      {Array.from({ length: lines }, (_, index) => (
        <div key={index} className="skeleton" style={{ width: `${88 - ((index * 17) % 40)}%` }} />
      ))}
    </div>
  );
}

export function Page({
  title,
  under,
  before,
  after,
  full,
  children,
}: {
  title: ReactNode;
  /** The list that it comes from. */
  under?: { to: string; name: string };
  before?: ReactNode;
  after?: ReactNode;
  full?: boolean;
  children: ReactNode;
}) {
  useEffect(() => {
    if (typeof title === 'string') document.title = `${title} · outrider`;
  }, [title]);
  const heading = useId();
  const [beside, setBeside] = useState<HTMLElement | null>(null);
  return (
    <div className="page">
      <header className="page-head">
        {under && (
          <>
            <Link to={under.to} className="muted">
              {under.name}
            </Link>
            <span className="faint">/</span>
          </>
        )}
        {before}
        <h1 id={heading} title={typeof title === 'string' ? title : undefined}>
          {title}
        </h1>
        {after}
      </header>
      <PlaceBeside value={beside}>
        <div className="page-main">
          {full ? (
            <div className="page-body full">{children}</div>
          ) : (
            <PageBody labelledBy={heading}>{children}</PageBody>
          )}
          <div className="page-beside" ref={setBeside} />
        </div>
      </PlaceBeside>
    </div>
  );
}

/** What is scrolled of a page. Keys scroll it also where nothing in it takes the focus; it has a name for whoever comes to it so. */
export function PageBody({
  label,
  labelledBy,
  children,
}: {
  label?: string;
  labelledBy?: string;
  children: ReactNode;
}) {
  return (
    <div className="page-body" role="region" aria-label={label} aria-labelledby={labelledBy} tabIndex={0}>
      {children}
    </div>
  );
}

export function Panel({
  title,
  after,
  flush,
  children,
}: {
  title: ReactNode;
  after?: ReactNode;
  flush?: boolean;
  children: ReactNode;
}) {
  return (
    <section className="panel">
      <div className="panel-head">
        <h2>{title}</h2>
        <div className="spread" />
        {after}
      </div>
      <div className={flush ? 'panel-body flush' : 'panel-body'}>{children}</div>
    </section>
  );
}

/** The page of something that is not here yet, or what went wrong. */
export function Waiting({ title, of }: { title: string; of: { error: unknown; refetch: () => Promise<unknown> } }) {
  return (
    <Page title={title}>
      {of.error ? <Trouble error={of.error} again={() => void of.refetch()} /> : <Loading lines={8} />}
    </Page>
  );
}

export type Fact = [string, ReactNode];

/** What is known of something, one under the other. */
export function Facts({ facts }: { facts: Fact[] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value], index) => (
        <div key={index} style={{ display: 'contents' }}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
