// The typed client of outrider's own API. Every refusal becomes a `Refusal`, which says what a person can do about it.
import createClient from 'openapi-fetch';

import type { components, paths } from './schema';

export type Schemas = components['schemas'];

/** Why the API did not do something, or that it cannot be reached (status 0). */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly where?: string,
    readonly hint?: string,
    readonly kind?: string,
  ) {
    super(message);
  }
}

function isProblem(body: unknown): body is Schemas['Problem'] {
  return typeof body === 'object' && body !== null && 'detail' in body && 'status' in body;
}

export function refusalOf(status: number, body: unknown): Refusal {
  if (!isProblem(body)) return new Refusal(status, `outrider answered with status ${status}`);
  return new Refusal(status, body.detail, body.where ?? undefined, body.hint ?? undefined, body.type.split(':').at(-1));
}

const listeners = new Set<() => void>();

/** Calls back when the API says that nobody is signed in any more. */
export function onSignedOut(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const api = createClient<paths>({
  baseUrl: globalThis.location?.origin,
  // Lists in a query are written with commas.
  querySerializer: { array: { style: 'form', explode: false } },
  fetch: async (request) => {
    let answer: Response;
    try {
      answer = await fetch(request);
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') throw error;
      throw new Refusal(0, 'outrider does not answer', undefined, 'it may be restarting; this page goes on by itself');
    }
    if (answer.status === 401 && !new URL(request.url).pathname.endsWith('/session'))
      listeners.forEach((tell) => tell());
    return answer;
  },
});

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The answer's body, or its refusal as an exception. */
export async function got<T>(answer: Promise<Answered<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (!response.ok) throw refusalOf(response.status, error);
  return data as T;
}

/** A decision that is sent again with the same key is taken once. */
export function once(): { 'Idempotency-Key': string } {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return { 'Idempotency-Key': Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('') };
}
