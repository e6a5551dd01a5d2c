// The language of searches: `field:value` terms that all have to hold.
import type { EntityKind } from '../api/types';

/** A value as a search writes it. */
export function term(field: string, value: string, isNot = false): string {
  const plain = /^[^\s,*"]+$/.test(value) && !value.startsWith('-');
  const written = plain ? value : `"${value.replaceAll('"', '')}"`;
  return `${isNot ? '-' : ''}${field}:${written}`;
}

/** A search with one more term, unless it has it. */
export function withTerm(search: string, added: string): string {
  const opposite = added.startsWith('-') ? added.slice(1) : `-${added}`;
  const terms = splitTerms(search).filter((one) => one !== opposite && one !== added);
  return [...terms, added].join(' ');
}

/** A search with a term, or without it where it has that. */
export function toggledTerm(search: string, toggled: string): string {
  const terms = splitTerms(search);
  return terms.includes(toggled) ? terms.filter((one) => one !== toggled).join(' ') : withTerm(search, toggled);
}

/** The terms of a search; what is in quotes stays together. */
export function splitTerms(search: string): string[] {
  return search.match(/(?:[^\s"]+|"[^"]*")+/g) ?? [];
}

const FIELDS: Partial<Record<EntityKind, string>> = {
  consumer: 'consumer',
  credential: 'credential',
  ip: 'ip',
  network: 'asn',
  session: 'session',
};

/** The field that such an entity is searched by; undefined for business entities, where each name is a field. */
export function entityField(kind: EntityKind): string | undefined {
  return FIELDS[kind];
}

/** The term that finds the calls of an entity. */
export function entityTerm(kind: EntityKind, value: string): string {
  const field = entityField(kind);
  if (field) return term(field, value);
  const [name, ...rest] = value.split(':');
  return term(`entity.${name ?? ''}`, rest.join(':'));
}
