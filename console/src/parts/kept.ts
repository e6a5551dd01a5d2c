// What this browser keeps for whoever uses it, by a name: everything that is drawn of it changes at once, also in other windows.
import { useCallback, useSyncExternalStore } from 'react';

const listeners = new Set<() => void>();
/** For a browser that keeps nothing: until the page is left. */
const unkept = new Map<string, string>();

function read(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return unkept.get(name) ?? null;
  }
}

function write(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    if (value === null) unkept.delete(name);
    else unkept.set(name, value);
  }
  listeners.forEach((tell) => tell());
}

function listen(listener: () => void): () => void {
  listeners.add(listener);
  addEventListener('storage', listener);
  return () => {
    listeners.delete(listener);
    removeEventListener('storage', listener);
  };
}

/** What is kept under a name, and a way to change it; null is nothing. */
export function useKept(name: string): [string | null, (value: string | null) => void] {
  const value = useSyncExternalStore(listen, () => read(name));
  return [value, useCallback((next: string | null) => write(name, next), [name])];
}
