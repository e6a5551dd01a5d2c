// Which columns of a table somebody wants to see: kept in the browser, for each table by its name.
import { Button, Menu } from '@mantine/core';
import { IconColumns3 } from '@tabler/icons-react';
import { type ReactNode, useMemo } from 'react';

import { useKept } from './kept';

interface Choosable {
  id: string;
  head: ReactNode;
  /** It is shown only where somebody chooses it. */
  isExtra?: boolean;
  /** It cannot be left out: rows are opened by it. */
  isNeeded?: boolean;
}

/** More columns than these are not kept. */
const KEPT_MAX = 100;

/** By its id, whether a column is shown that was chosen or left out; the others are as they are. */
type Choice = ReadonlyMap<string, boolean>;

function fromKept(kept: string | null): Choice {
  try {
    const read: unknown = JSON.parse(kept ?? '{}');
    if (typeof read !== 'object' || read === null) return new Map();
    return new Map(Object.entries(read).filter((one): one is [string, boolean] => typeof one[1] === 'boolean'));
  } catch {
    return new Map();
  }
}

/** Says of a column whether it is shown, and changes that; without a column all are as they were. */
export function useColumns(table: string) {
  const [kept, keep] = useKept(`outrider columns ${table}`);
  return useMemo(() => {
    const choice = fromKept(kept);
    const isShown = ({ id, isExtra, isNeeded }: Choosable) => isNeeded === true || (choice.get(id) ?? !isExtra);
    const show = (column: Choosable, shown: boolean) => {
      const next = new Map(choice).set(column.id, shown);
      // As it is by itself.
      if (shown === !column.isExtra) next.delete(column.id);
      keep(next.size === 0 ? null : JSON.stringify(Object.fromEntries([...next].slice(-KEPT_MAX))));
    };
    return { isShown, show, reset: () => keep(null), isChanged: choice.size > 0 };
  }, [kept, keep]);
}

/** A menu of a table's columns. */
export function ColumnMenu({ table, columns }: { table: string; columns: Choosable[] }) {
  const { isShown, show, reset, isChanged } = useColumns(table);
  return (
    <Menu
      position="bottom-end"
      closeOnItemClick={false}
      transitionProps={{ duration: 0 }}
      // An element that takes the focus and is no item must not stand in a menu.
      withInitialFocusPlaceholder={false}
    >
      <Menu.Target>
        <Button size="xs" variant="default" leftSection={<IconColumns3 size={14} />}>
          Columns
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {columns
          .filter((column) => !column.isNeeded)
          .map((column) => (
            <Menu.CheckboxItem key={column.id} checked={isShown(column)} onChange={(shown) => show(column, shown)}>
              {column.head}
            </Menu.CheckboxItem>
          ))}
        <Menu.Divider role="separator" />
        <Menu.Item disabled={!isChanged} onClick={reset}>
          As they were
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
