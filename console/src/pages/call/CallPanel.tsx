// One call with all that is known of it: beside the page that it is listed on, or over that where the window has no room.
import { ActionIcon, Button, CloseButton, CopyButton, Drawer, Loader, VisuallyHidden } from '@mantine/core';
import { IconCheck, IconChevronDown, IconChevronUp, IconCopy } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { type KeyboardEvent as ReactKeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react';

import { api, got, Refusal } from '../../api/client';
import type { Call, CallRow } from '../../api/types';
import { Loading, Trouble } from '../../parts/basics';
import { Beside, useHasRoomBeside } from '../../parts/Beside';
import { useFocusBack } from '../../parts/focus';
import { callId, callKey, useOpenCall } from '../../parts/openCall';
import { AboutCall } from './AboutCall';
import { NOT_PASSING, type Passing } from './passing';

/** The list that it stands in. */
interface List {
  rows: CallRow[];
  /** There are rows that are not loaded yet, and `readOn` loads some: it says whether they came. */
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  /** They did not come when they were asked for last. */
  isFetchNextPageError: boolean;
  readOn: () => Promise<boolean>;
}

const NONE: List = {
  rows: [],
  hasNextPage: false,
  isFetchingNextPage: false,
  isFetchNextPageError: false,
  readOn: () => Promise.resolve(false),
};

/** The call that the address names, if it names one. */
export function CallPanel({ list = NONE, passing = NOT_PASSING }: { list?: List; passing?: Passing }) {
  const { key } = useOpenCall();
  return key === undefined ? null : <Opened id={key} list={list} passing={passing} />;
}

function Opened({ id, list, passing }: { id: string; list: List; passing: Passing }) {
  const { close } = useOpenCall();
  // Going back takes a moment, and who presses twice means once.
  const isClosing = useRef(false);
  const closeOnce = () => {
    if (!isClosing.current) close();
    isClosing.current = true;
  };
  useFocusBack(true);
  const found = useQuery({
    queryKey: ['call', id],
    queryFn: ({ signal }) => got(api.GET('/api/v1/calls/{id}', { params: { path: { id: callId(id) } }, signal })),
    // It never changes.
    staleTime: Infinity,
  });
  const isPassing = passing.key !== undefined;
  const call = isPassing ? undefined : (found.data?.call as unknown as Call | undefined);
  const steps = useSteps(passing.key ?? id, list, passing.pass);
  const press = (event: KeyboardEvent | ReactKeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isInRows = event.target instanceof Element && event.target.closest('.table-scroll') !== null;
    const isStep = { j: 1, k: -1, ArrowDown: isInRows && 1, ArrowUp: isInRows && -1 }[event.key];
    if (!isStep || !steps.isListed) return;
    event.preventDefault();
    if (isStep > 0) steps.goDown(event);
    else steps.goUp(event);
  };
  const head = (
    <>
      {steps.isListed && <Steps {...steps} />}
      <div className="spread" />
      {call && <CopyJson call={call} />}
      <Told of={id} words={wordsOf(id, list, call)} />
    </>
  );
  const hasFailed = found.error !== null && !isPassing;
  const body = call ? <AboutCall call={call} /> : hasFailed ? <Failed of={found} /> : <Loading lines={14} />;
  const Frame = useHasRoomBeside() ? AsideFrame : OverFrame;
  return (
    <Frame head={head} press={press} close={closeOnce}>
      {body}
    </Frame>
  );
}

/** Which call is open, for whom does not see it change. Said once: the list around it goes on, and that is no news. */
function Told({ of, words }: { of: string; words: string | undefined }) {
  const [said, say] = useState<{ of: string; words: string }>();
  if (words !== undefined && said?.of !== of) say({ of, words });
  return <VisuallyHidden role="status">{said?.words}</VisuallyHidden>;
}

/** The list knows it before the answer does; one that is in no list is known by its answer. */
function wordsOf(id: string, { rows, hasNextPage }: List, call: Call | undefined): string | undefined {
  const at = rows.findIndex((row) => callKey(row) === id);
  const known = rows[at] ?? call;
  if (!known) return undefined;
  const place = at < 0 ? '' : ` ${at + 1} of ${rows.length}${hasNextPage ? ' that are loaded' : ''}`;
  return `Call${place}: ${known.method} ${known.path}, ${known.status}`;
}

interface FrameProps {
  head: ReactNode;
  press: (event: KeyboardEvent | ReactKeyboardEvent) => void;
  close: () => void;
  children: ReactNode;
}

function AsideFrame({ head, press, close, children }: FrameProps) {
  const heading = useId();
  return (
    <Beside className="call-panel is-beside" labelledBy={heading} press={press} close={close}>
      <header className="call-head">
        <h2 className="call-title" id={heading}>
          Call
        </h2>
        {head}
        <CloseButton aria-label="Close" title="Close (Esc)" onClick={close} />
      </header>
      <div className="call-body">{children}</div>
    </Beside>
  );
}

function OverFrame({ head, press, close, children }: FrameProps) {
  // Locking the page's scrolling would need a style that a script writes, which the Content-Security-Policy forbids.
  return (
    <Drawer.Root
      opened
      position="right"
      size={600}
      lockScroll={false}
      transitionProps={{ duration: 80 }}
      onClose={close}
      onKeyDown={press}
    >
      <Drawer.Overlay backgroundOpacity={0.25} />
      <Drawer.Content className="call-panel">
        <Drawer.Header className="call-head">
          <Drawer.Title className="call-title">Call</Drawer.Title>
          {head}
          <Drawer.CloseButton aria-label="Close" />
        </Drawer.Header>
        <Drawer.Body className="call-body">{children}</Drawer.Body>
      </Drawer.Content>
    </Drawer.Root>
  );
}

interface Stepping {
  isListed: boolean;
  hasAbove: boolean;
  hasBelow: boolean;
  /** The following page is loaded, and it goes on to its first call then. */
  isWaiting: boolean;
  /** It did not come. */
  hasFailed: boolean;
  goUp: (by?: Held) => void;
  goDown: (by?: Held) => void;
}

/** What somebody goes by: a key that is held down repeats itself. */
interface Held {
  repeat?: boolean;
}

/** The ways to the calls above and below. Below the last one that is loaded stands the first of the following page. */
function useSteps(id: string, list: List, pass: (key: string) => void): Stepping {
  const { rows, hasNextPage, isFetchingNextPage, isFetchNextPageError, readOn } = list;
  const { open } = useOpenCall();
  // The last call that is loaded, where somebody wants to go on from it.
  const [from, setFrom] = useState<string>();
  if (from !== undefined && from !== id) setFrom(undefined);
  const at = rows.findIndex((row) => callKey(row) === id);
  const [above, below] = at < 0 ? [] : [rows[at - 1], rows[at + 1]];
  const hasCome = from === id && below ? callKey(below) : undefined;
  useEffect(() => {
    if (hasCome !== undefined) open(hasCome);
  }, [hasCome, open]);
  const go = (call: CallRow, by: Held = {}) => (by.repeat ? pass : open)(callKey(call));
  return {
    isListed: at >= 0,
    hasAbove: above !== undefined,
    hasBelow: below !== undefined || (at >= 0 && hasNextPage),
    isWaiting: from === id && isFetchingNextPage,
    hasFailed: at >= 0 && below === undefined && isFetchNextPageError && !isFetchingNextPage,
    goUp: (by) => above && go(above, by),
    goDown: (by) => {
      if (below) {
        go(below, by);
      } else if (hasNextPage) {
        setFrom(id);
        // Nobody is taken away from a call by rows that come later, for whatever reason.
        void readOn().then((hasCome) => !hasCome && setFrom(undefined));
      }
    },
  };
}

function Steps({ hasAbove, hasBelow, isWaiting, hasFailed, goUp, goDown }: Stepping) {
  return (
    <>
      <Step words="The call above (k)" isThere={hasAbove} go={() => goUp()}>
        <IconChevronUp size={16} />
      </Step>
      <Step words="The call below (j)" isThere={hasBelow} go={() => goDown()}>
        {isWaiting ? <Loader size={12} color="gray" /> : <IconChevronDown size={16} />}
      </Step>
      <span className="faint cut" role="status">
        {isWaiting ? 'Loading more calls…' : hasFailed && 'More calls did not load'}
      </span>
    </>
  );
}

interface StepProps {
  words: string;
  isThere: boolean;
  go: () => void;
  children: ReactNode;
}

function Step({ words, isThere, go, children }: StepProps) {
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="sm"
      aria-label={words}
      title={words}
      // One that cannot go on keeps the focus, and the keys with it.
      aria-disabled={!isThere}
      data-disabled={!isThere || undefined}
      onClick={go}
    >
      {children}
    </ActionIcon>
  );
}

function CopyJson({ call }: { call: Call }) {
  return (
    <CopyButton value={JSON.stringify(call, null, 2)}>
      {({ copied, copy }) => (
        <Button
          size="compact-sm"
          variant="default"
          leftSection={copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
          onClick={copy}
        >
          {copied ? 'Copied' : 'Copy as JSON'}
        </Button>
      )}
    </CopyButton>
  );
}

/** Of a call that is not there nobody asks again. */
function Failed({ of }: { of: { error: unknown; refetch: () => Promise<unknown> } }) {
  const isGone = of.error instanceof Refusal && of.error.status === 404;
  return <Trouble error={of.error} again={isGone ? undefined : () => void of.refetch()} />;
}
