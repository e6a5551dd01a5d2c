import type { Endpoint } from '../../api/types';
import { counted, share } from '../../parts/words';

/** How sure a template is, and how much that rests on. */
export function Confidence({ endpoint }: { endpoint: Endpoint }) {
  const { confidence, observations, provisional, ignored } = endpoint;
  return (
    <span className="row wraps">
      <span title="as its least certain part is, from the calls through that">
        {share(confidence)}, from {counted(observations, 'call')}
      </span>
      {provisional && (
        <span className="tag warning" title="it is still being learned, and may change with more calls">
          few observations
        </span>
      )}
      {ignored && (
        <span
          className="tag"
          title="somebody decided that its calls belong to no endpoint; the page of the service has it"
        >
          ignored
        </span>
      )}
    </span>
  );
}
