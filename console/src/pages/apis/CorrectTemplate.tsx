// A person may know better than what was learned: the decisions about a template, each with a sentence that says what it does.
import { Button, Menu, Select, TextInput } from '@mantine/core';
import { IconChevronDown } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';

import { api, got, once } from '../../api/client';
import type { Endpoint, TemplatesForm } from '../../api/types';
import { Trouble } from '../../parts/basics';
import { Dialog } from '../../parts/Dialog';
import { useMay } from '../../shell/session';
import {
  canBeMerged,
  type Correction,
  type CorrectionKind,
  decisionOf,
  isComplete,
  isParameter,
  NAME_PATTERN,
  type Segment,
  segmentsOf,
  willHappen,
} from './correcting';
import { Effects } from './Effects';
import { decided } from './service';

const WORDS: Record<CorrectionKind, { item: string; title: string; action: string }> = {
  rename: { item: 'Rename a parameter…', title: 'Rename a parameter', action: 'Rename' },
  split: { item: 'Split a value off…', title: 'Split a value off', action: 'Split' },
  merge: { item: 'Merge all values…', title: 'Merge all values', action: 'Merge' },
  pin: { item: 'Pin as it is written…', title: 'Pin this template', action: 'Pin' },
  ignore: { item: 'Ignore its calls…', title: 'Ignore calls under this template', action: 'Ignore' },
};
const KINDS = Object.keys(WORDS) as CorrectionKind[];

/** The segments that a decision may be about; undefined where it is about all of the template. */
function choicesFor(kind: CorrectionKind, template: string): Segment[] | undefined {
  if (kind === 'pin' || kind === 'ignore') return undefined;
  return segmentsOf(template).filter(kind === 'merge' ? canBeMerged : isParameter);
}

export function CorrectTemplate({ endpoint }: { endpoint: Endpoint }) {
  const mayDecide = useMay('responder');
  const [open, setOpen] = useState<CorrectionKind>();
  // What lives on elsewhere is decided about there, and what is ignored where that was decided.
  if (!mayDecide || endpoint.merged_into || endpoint.ignored) return null;
  const { template } = endpoint.key;
  const possible = KINDS.filter((kind) => choicesFor(kind, template)?.length !== 0);
  return (
    <>
      <Menu position="bottom-end" width={210}>
        <Menu.Target>
          <Button size="compact-xs" variant="default" rightSection={<IconChevronDown size={13} />}>
            Correct the template…
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {possible.map((kind) => (
            <Menu.Item key={kind} onClick={() => setOpen(kind)}>
              {WORDS[kind].item}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      {open && <CorrectDialog endpoint={endpoint} kind={open} close={() => setOpen(undefined)} />}
    </>
  );
}

interface Props {
  endpoint: Endpoint;
  kind: CorrectionKind;
  close: () => void;
}

export function CorrectDialog({ endpoint, kind, close }: Props) {
  const client = useQueryClient();
  const { method, template } = endpoint.key;
  const choices = choicesFor(kind, template) ?? [];
  const [at, setAt] = useState(choices.length - 1);
  const [typed, setTyped] = useState('');
  const [isOfAll, setOfAll] = useState(false);
  const segment = choices[at];
  const correction = correctionOf(kind, segment, typed.trim(), isOfAll ? null : method);
  const deciding = useMutation({
    mutationFn: async () => {
      if (!correction) return;
      await got(api.POST('/api/v1/templates', { body: formOf(endpoint, correction), headers: once() }));
      await decided(client);
    },
    onSuccess: close,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    deciding.mutate();
  };
  const needsName = kind === 'rename' || (kind === 'merge' && segment && !isParameter(segment));
  return (
    <Dialog title={WORDS[kind].title} open close={close} wide>
      <form className="stack" onSubmit={submit}>
        {choices.length > 1 && (
          <Select
            label={kind === 'merge' ? 'Part of the path' : 'Parameter'}
            allowDeselect={false}
            value={String(at)}
            data={choices.map(({ before, text }, index) => ({ value: String(index), label: `${before}/${text}` }))}
            onChange={(value) => value !== null && setAt(Number(value))}
          />
        )}
        {needsName && (
          <TextInput
            label={kind === 'rename' ? 'New name' : 'Name of the parameter'}
            description="letters, digits, _, - and ., at most 64"
            required
            data-autofocus
            pattern={NAME_PATTERN}
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
          />
        )}
        {kind === 'split' && (
          <TextInput
            label="Value"
            description={`a text that stands where ${segment?.text ?? 'the parameter'} does, such as me`}
            required
            data-autofocus
            pattern="[^\/\{\}]+"
            maxLength={256}
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
          />
        )}
        {(kind === 'pin' || kind === 'ignore') && (
          <Select
            label="Of which calls"
            allowDeselect={false}
            value={isOfAll ? 'all' : 'one'}
            data={[
              { value: 'one', label: `${method} alone` },
              { value: 'all', label: 'Every method' },
            ]}
            onChange={(value) => setOfAll(value === 'all')}
          />
        )}
        {correction && (
          <p className="wrap" role="note">
            {willHappen(correction, template)}{' '}
            <span className="muted">It can be taken back on the page of the service.</span>
          </p>
        )}
        <Effects form={correction && isComplete(correction) ? formOf(endpoint, correction) : undefined} />
        {deciding.error && <Trouble error={deciding.error} />}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" color={kind === 'ignore' ? 'red' : undefined} loading={deciding.isPending}>
            {WORDS[kind].action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function formOf(endpoint: Endpoint, correction: Correction): TemplatesForm {
  return { decisions: [decisionOf(endpoint, correction)], taken_back: [] };
}

function correctionOf(
  kind: CorrectionKind,
  segment: Segment | undefined,
  typed: string,
  method: string | null,
): Correction | undefined {
  if (kind === 'pin' || kind === 'ignore') return { kind, method };
  if (!segment) return undefined;
  if (kind === 'split') return { kind, segment, value: typed };
  return { kind, segment, name: kind === 'merge' ? (segment.parameter ?? typed) : typed };
}
