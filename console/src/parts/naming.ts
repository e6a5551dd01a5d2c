// Names of what people save: the API puts what is sent in the place of what has the name, so a new one takes no name that is there.
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

/** Fails with `NameTaken` where something has the name. */
export async function refuseTaken(name: string, isThere: IsThere): Promise<void> {
  if (await isThere(name)) throw new NameTaken(name, await freeName(name, isThere));
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
