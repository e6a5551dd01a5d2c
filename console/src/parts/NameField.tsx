// A filter by a whole name, with help: what is typed is completed, and filters nothing until it is a name.
import { Autocomplete, CloseButton } from '@mantine/core';
import { keepPreviousData, useQueries } from '@tanstack/react-query';
import { type KeyboardEvent, useState } from 'react';

import { api, got } from '../api/client';
import { useAddress } from './address';
import { chosenName, completed } from './completing';

/** Others would be read as more than one term of a search. */
const PLAIN = /^[\w.@:-]+$/;
const OFFERED_MAX = 20;

interface Props {
  label: string;
  /** Of the part of the address. */
  name: string;
  /** Names that are there, such as those of the rows that are loaded. */
  known: (string | null | undefined)[];
  /** Fields of a search whose values are names, too. */
  fields?: string[];
  width?: number;
  isSearch?: boolean;
}

export function NameField({ label, name, known, fields = [], width = 150, isSearch }: Props) {
  const [query, change] = useAddress();
  const said = query.get(name) ?? '';
  const [typed, setTyped] = useState(said);
  const [shown, setShown] = useState(said);
  // The address may change by itself, such as when one goes back.
  if (shown !== said) {
    setShown(said);
    setTyped(said);
  }
  const found = useQueries({
    queries: fields.map((field) => ({
      queryKey: ['completions', `${field}:${typed}`],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        got(api.GET('/api/v1/search/completions', { params: { query: { q: `${field}:${typed}` } }, signal })),
      enabled: typed !== said && PLAIN.test(typed),
      placeholderData: keepPreviousData,
      staleTime: 60_000,
      retry: false,
    })),
    combine: (answers) =>
      answers.flatMap(({ data }, index) =>
        (data?.items ?? []).map((item) => item.search.slice(fields[index]!.length + 1).replaceAll('"', '')),
      ),
  });
  const offered = completed(typed, [...known, ...found]).slice(0, OFFERED_MAX);
  const take = (value: string) => {
    setTyped(value);
    if (value !== said) change({ [name]: value });
  };
  const press = (event: KeyboardEvent) => {
    // What the keys chose in the list is taken by that.
    const hasChosen = event.currentTarget.hasAttribute('aria-activedescendant');
    if (event.key === 'Enter' && !hasChosen) take(chosenName(typed, offered));
  };
  return (
    <Autocomplete
      size="xs"
      w={width}
      placeholder={label}
      aria-label={label}
      data-search={isSearch || undefined}
      value={typed}
      data={offered}
      filter={({ options }) => options}
      onChange={setTyped}
      onOptionSubmit={take}
      onKeyDown={press}
      onBlur={() => take(chosenName(typed, offered))}
      rightSection={typed && <CloseButton size="xs" aria-label={`Clear ${label}`} onClick={() => take('')} />}
    />
  );
}
