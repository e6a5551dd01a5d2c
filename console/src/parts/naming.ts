// Names of what people save. The API puts what is sent in the place of what has the name, unless it is told that it is new.
import { Refusal } from '../api/client';

/** Whether something of a name is there. */
export type IsThere = (name: string) => Promise<boolean>;

/** Why something new was not saved. */
export class NameTaken extends Error {
  constructor(
    readonly taken: string,
    /** One that nothing has. */
    readonly free: string,
  ) {
    super(`${taken} is there already`);
  }
}

/** Tries no more names than these. */
const TRIES_MAX = 100;

/** The name, or the first with a number behind it that nothing has. */
export async function freeName(name: string, isThere: IsThere): Promise<string> {
  const stem = name.replace(/-\d+$/, '');
  let free = name;
  for (let number = 2; number <= TRIES_MAX && (await isThere(free)); number += 1) free = `${stem}-${number}`;
  return free;
}

/** What a save of something new says: what has the name stays as it is. */
const ONLY_NEW = { 'If-None-Match': '*' };
/** What is answered then where something has the name (RFC 9110, section 13.1.2). */
const PRECONDITION_FAILED = 412;

/** Saves something new, or fails with `NameTaken` where something has the name. */
export async function saveNew<T>(
  name: string,
  isThere: IsThere,
  save: (headers: Record<string, string>) => Promise<T>,
): Promise<T> {
  try {
    return await save(ONLY_NEW);
  } catch (error) {
    const isTaken = error instanceof Refusal && error.status === PRECONDITION_FAILED;
    throw isTaken ? new NameTaken(name, await freeName(name, isThere)) : error;
  }
}

/** Whether what is asked for by its name was answered. */
export async function wasFound(asked: Promise<unknown>): Promise<boolean> {
  try {
    await asked;
    return true;
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return false;
    throw error;
  }
}

/** The trouble that a save had with the name that is in the field, unless another one was typed since. */
export function troubleWithName(error: unknown, name: string): NameTaken | undefined {
  return error instanceof NameTaken && error.taken === name ? error : undefined;
}
