import { Kbd } from '@mantine/core';

import { Dialog } from '../parts/Dialog';
import { GO } from './keys';

const OTHERS: [string[], string][] = [
  [['Ctrl', 'K'], 'Go to anything, search'],
  [['/'], 'Search on this page'],
  [['j'], 'Next row of a table that has the focus (also ↓), or next call where one is open'],
  [['k'], 'Row or call before (also ↑)'],
  [['Enter'], 'Open the row'],
  [['x'], 'Choose the row, where rows can be chosen'],
  [['Shift', 'j'], 'Choose on to the next row (also Shift ↓, Shift x, Shift and a click)'],
  [['Ctrl', 'A'], 'Choose all rows that are loaded'],
  [['Esc'], 'Choose none, close what is open'],
  [['?'], 'This help'],
];

export function KeyHelp({ open, close }: { open: boolean; close: () => void }) {
  const rows: [string[], string][] = [
    ...Object.entries(GO).map(([key, [, name]]): [string[], string] => [['g', key], name]),
    ...OTHERS,
  ];
  return (
    <Dialog title="Keyboard" open={open} close={close}>
      <dl className="facts">
        {rows.map(([keys, words]) => (
          <div key={words} style={{ display: 'contents' }}>
            <dt>
              {keys.map((key) => (
                <Kbd key={key} size="xs" mr={4}>
                  {key}
                </Kbd>
              ))}
            </dt>
            <dd>{words}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
