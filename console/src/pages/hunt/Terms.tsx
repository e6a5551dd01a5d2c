// A search as a field with help: what it may go on with, from the API.
import { Autocomplete, CloseButton } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { type KeyboardEvent, type ReactNode, useState } from 'react';

import { api, got } from '../../api/client';
import { splitTerms } from '../../parts/search';

export function Terms({
  search,
  change,
  placeholder = 'Filter: status:>=400 path:/orders/* -method:GET',
  after,
}: {
  search: string;
  change: (search: string) => void;
  placeholder?: string;
  after?: ReactNode;
}) {
  const [typed, setTyped] = useState(search);
  const [known, setKnown] = useState(search);
  if (known !== search) {
    setKnown(search);
    setTyped(search);
  }
  const help = useQuery({
    queryKey: ['completions', typed],
    queryFn: ({ signal }) => got(api.GET('/api/v1/search/completions', { params: { query: { q: typed } }, signal })),
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    retry: false,
  });
  const words = new Map((help.data?.items ?? []).map((item) => [item.search, item.words]));
  const press = (event: KeyboardEvent) => {
    if (event.key === 'Enter') change(typed.trim());
  };
  return (
    <div className="filters">
      <Autocomplete
        className="spread mono-field"
        size="xs"
        aria-label="Search"
        placeholder={placeholder}
        data-search
        value={typed}
        data={[...words.keys()]}
        filter={({ options }) => options}
        renderOption={({ option }) => (
          <div className="row spread">
            <code className="cut spread">{splitTerms(option.value).at(-1) ?? option.value}</code>
            <span className="faint cut">{words.get(option.value)}</span>
          </div>
        )}
        onChange={setTyped}
        onOptionSubmit={(value) => {
          // A field alone goes on with a value.
          if (!value.endsWith(':')) change(value.trim());
        }}
        onKeyDown={press}
        rightSection={typed && <CloseButton size="xs" aria-label="Clear the search" onClick={() => change('')} />}
      />
      {after}
    </div>
  );
}
