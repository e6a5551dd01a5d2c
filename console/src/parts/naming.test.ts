import { expect, it } from 'vitest';

import { Refusal } from '../api/client';
import { freeName, NameTaken, refuseTaken, wasFound } from './naming';

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

it('refuses a name that something has', async () => {
  await expect(refuseTaken('mine', among('mine'))).rejects.toEqual(new NameTaken('mine', 'mine-2'));
  await expect(refuseTaken('mine', among('yours'))).resolves.toBeUndefined();
});

it('takes no other trouble for a name that is free', async () => {
  expect(await wasFound(Promise.resolve({}))).toBe(true);
  expect(await wasFound(Promise.reject(new Refusal(404, 'none')))).toBe(false);
  await expect(wasFound(Promise.reject(new Refusal(503, 'away')))).rejects.toThrow('away');
});
