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
  const refused = (status: number) => () => Promise.reject(new Refusal(status, 'no'));

  it('is saved without a look at what is there, and says that it is new', async () => {
    const isThere = vi.fn(among('mine'));
    expect(await saveNew('mine', isThere, (headers) => Promise.resolve(headers))).toEqual({ 'If-None-Match': '*' });
    expect(isThere).not.toHaveBeenCalled();
  });

  it('is refused where something has the name, with a name that is free', async () => {
    await expect(saveNew('mine', among('mine'), refused(412))).rejects.toEqual(new NameTaken('mine', 'mine-2'));
  });

  it('is refused for another reason with that reason', async () => {
    await expect(saveNew('mine', among('mine'), refused(503))).rejects.toThrow('no');
  });
});

it('takes no other trouble for a name that is free', async () => {
  expect(await wasFound(Promise.resolve({}))).toBe(true);
  expect(await wasFound(Promise.reject(new Refusal(404, 'none')))).toBe(false);
  await expect(wasFound(Promise.reject(new Refusal(503, 'away')))).rejects.toThrow('away');
});
