import { describe, expect, it, vi } from 'vitest';

import { Refusal } from '../api/client';
import { freeName, NameTaken, saveNew, wasFound } from './naming';

const among =
  (...names: string[]) =>
  (name: string) =>
    Promise.resolve(names.includes(name));

it.each([
  ['block-spikes', [], 'block-spikes'],
  ['block-spikes', ['block-spikes'], 'block-spikes-2'],
  ['block-spikes', ['block-spikes', 'block-spikes-2'], 'block-spikes-3'],
  ['block-spikes-2', ['block-spikes-2'], 'block-spikes-3'],
])('proposes for %s among %j the name %s', async (name, names, free) => {
  expect(await freeName(name, among(...names))).toBe(free);
});

describe('something new', () => {
  const written = (headers: Record<string, string>) => Promise.resolve(headers);

  it('is saved under a name that nothing has, and says that it is new', async () => {
    expect(await saveNew('mine', among('yours'), written)).toEqual({ 'If-None-Match': '*' });
  });

  it('is not saved where something has the name', async () => {
    const save = vi.fn(written);
    await expect(saveNew('mine', among('mine'), save)).rejects.toEqual(new NameTaken('mine', 'mine-2'));
    expect(save).not.toHaveBeenCalled();
  });

  it('is refused by the save where somebody takes the name meanwhile', async () => {
    const names: string[] = [];
    const isThere = (name: string) => Promise.resolve(names.includes(name));
    const refused = (status: number) => () => {
      names.push('mine');
      return Promise.reject(new Refusal(status, 'no'));
    };
    await expect(saveNew('mine', isThere, refused(412))).rejects.toEqual(new NameTaken('mine', 'mine-2'));
    names.length = 0;
    await expect(saveNew('mine', isThere, refused(503))).rejects.toThrow('no');
  });
});

it('takes no other trouble for a name that is free', async () => {
  expect(await wasFound(Promise.resolve({}))).toBe(true);
  expect(await wasFound(Promise.reject(new Refusal(404, 'none')))).toBe(false);
  await expect(wasFound(Promise.reject(new Refusal(503, 'away')))).rejects.toThrow('away');
});
