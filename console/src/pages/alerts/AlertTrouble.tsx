import { Trouble } from '../../parts/basics';
import { HISTORY_WORDS, isOnlyHistory } from './deciding';

/** Why something could not be done about an alert that is shown. */
export function AlertTrouble({ error }: { error: unknown }) {
  if (!isOnlyHistory(error)) return <Trouble error={error} />;
  return (
    <p className="muted" role="alert">
      {HISTORY_WORDS}
    </p>
  );
}
