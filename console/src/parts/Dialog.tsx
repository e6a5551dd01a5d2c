// Dialogs: one that asks for a reason before a decision, and the frame that all of them have.
import { Button, Modal, Textarea } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type ComponentType, type FormEvent, type ReactNode, useState } from 'react';

import { Trouble } from './basics';
import { useFocusBack } from './focus';

export function Dialog({
  title,
  open,
  close,
  wide,
  children,
}: {
  title: string;
  open: boolean;
  close: () => void;
  wide?: boolean;
  children: ReactNode;
}) {
  useFocusBack(open);
  // Locking the page's scrolling would need a style that a script writes, which the Content-Security-Policy forbids.
  return (
    <Modal
      opened={open}
      onClose={close}
      title={title}
      size={wide ? 640 : 460}
      lockScroll={false}
      closeButtonProps={{ 'aria-label': 'Close' }}
      transitionProps={{ duration: 80 }}
      centered
    >
      {children}
    </Modal>
  );
}

interface ReasonProps {
  title: string;
  explanation: ReactNode;
  action: string;
  isDangerous?: boolean;
  /** What else one should know before. */
  children?: ReactNode;
  /** For a decision that the API asks no reason for. */
  needsNoReason?: boolean;
  /** Something else that it asks for is still to be said. */
  isIncomplete?: boolean;
  decide: (reason: string) => Promise<unknown>;
  /** How it says what went wrong, where there is more to say of it than the API does. */
  trouble?: ComponentType<{ error: unknown }>;
  /** It has more room, such as for a list. */
  wide?: boolean;
  close: () => void;
}

/** Asks why before something is decided. It is opened by being there. */
export function ReasonDialog(props: ReasonProps) {
  const { title, explanation, children, action, isDangerous, needsNoReason, isIncomplete, decide, close } = props;
  const { trouble: Said = Trouble } = props;
  const [reason, setReason] = useState('');
  const deciding = useMutation({ mutationFn: decide, onSuccess: close });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    deciding.mutate(reason.trim());
  };
  return (
    <Dialog title={title} open close={close} wide={props.wide}>
      <form className="stack" onSubmit={submit}>
        <p className="muted">{explanation}</p>
        {children}
        {!needsNoReason && (
          <Textarea
            label="Reason"
            description="It is in the audit log, beside your name."
            required
            data-autofocus
            autosize
            minRows={2}
            maxLength={500}
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
          />
        )}
        {deciding.error && <Said error={deciding.error} />}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button
            type="submit"
            color={isDangerous ? 'red' : undefined}
            loading={deciding.isPending}
            disabled={isIncomplete || (!needsNoReason && reason.trim() === '')}
          >
            {action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
