// Statements that the console asks the lake, and their answers as rows.
import { api, got } from './client';

/** A text as SQL writes it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A moment as SQL writes it. */
export function moment(ms: number): string {
  return `TIMESTAMP '${new Date(ms).toISOString()}'`;
}

/** The UTC day of a moment. A filter on it keeps a statement from reading other days. */
export function day(ms: number): string {
  return `DATE '${new Date(ms).toISOString().slice(0, 10)}'`;
}

export async function ask<T>(statement: string, signal?: AbortSignal): Promise<T[]> {
  const table = await got(api.POST('/api/v1/query', { body: { statement }, signal }));
  return table.rows as T[];
}

/** Timestamps of answers are texts in UTC, with or without saying so. */
export function timeOf(text: unknown): number {
  if (typeof text !== 'string') return Number.NaN;
  return Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
}
