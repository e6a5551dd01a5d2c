// How risky an endpoint or a service is, from 0 to 10: the score, what makes it, and how it came about.
import { useState } from 'react';
import { Link } from 'react-router';

import type { RiskScore } from '../../api/types';
import { Panel, Time } from '../../parts/basics';
import { Words } from '../../parts/Prose';
import { useChecks } from './reading';
import { factorWords, gravity, partsOfScore, posturePath, scoreWords } from './weakness';

/** So many moves are shown at first. */
const MOVES_SHOWN = 4;

/** For tables: the number, with a bar of its height. */
export function RiskFigure({ risk }: { risk: RiskScore | null }) {
  if (!risk) return <span className="faint">–</span>;
  const [most] = risk.factors;
  return (
    <span className={`risk ${gravity(risk.score)}`} title={most ? `of 10; most of all: ${most.sentence}` : 'of 10'}>
      {scoreWords(risk.score)}
      <span className="risk-bar" aria-hidden="true">
        <span style={{ width: `${risk.score * 10}%` }} />
      </span>
    </span>
  );
}

/** `place` are the filters of the weaknesses that it is made of. */
export function Risk({ risk, place }: { risk: RiskScore | null; place: Record<string, string> }) {
  return (
    <Panel title="Risk" after={<span className="faint">from 0 to 10</span>}>
      {risk ? (
        <Known risk={risk} place={place} />
      ) : (
        <p className="muted">It is known when the first minutes of calls are over. This fills by itself.</p>
      )}
    </Panel>
  );
}

function Known({ risk, place }: { risk: RiskScore; place: Record<string, string> }) {
  const checks = useChecks().data?.items ?? [];
  const names = new Set(checks.map(({ name }) => name));
  const parts = partsOfScore(risk);
  return (
    <div className={`stack risk-known ${gravity(risk.score)}`}>
      <div className="row">
        <span className="risk-score number">{scoreWords(risk.score)}</span>
        <div className="risk-parts spread" aria-hidden="true">
          {parts.map(({ name, width }, index) => (
            <span key={`${name} ${index}`} style={{ width, opacity: shade(index) }} />
          ))}
        </div>
      </div>
      {risk.factors.length === 0 ? (
        <p className="muted">
          Nothing is weak, nobody’s data was seen, and nobody gets in without saying who they are.
        </p>
      ) : (
        <ul className="plain factors" aria-label="What makes it">
          {risk.factors.map(({ name, points, sentence }, index) => (
            <li key={`${name} ${index}`}>
              <span className="factor-key" style={{ opacity: shade(index) }} aria-hidden="true" />
              <span className="number">+{scoreWords(points)}</span>
              <div className="lines">
                {names.has(name) ? (
                  <Link to={posturePath({ ...place, check: name })}>{factorWords(name, checks)}</Link>
                ) : (
                  <strong>{factorWords(name, checks)}</strong>
                )}
                <span className="muted wrap">
                  <Words of={sentence} />
                </span>
              </div>
            </li>
          ))}
        </ul>
      )}
      <Moves moves={risk.moves} />
    </div>
  );
}

/** The weightiest part is the strongest. */
function shade(index: number): number {
  return Math.max(1 - index * 0.16, 0.36);
}

function Moves({ moves }: Pick<RiskScore, 'moves'>) {
  const [areAllShown, showAll] = useState(false);
  if (moves.length === 0) return <p className="faint">It has not moved yet.</p>;
  const newest = moves.toReversed();
  const shown = areAllShown ? newest : newest.slice(0, MOVES_SHOWN);
  return (
    <section className="stack">
      <h3>How it moved</h3>
      <ul className="steps" aria-label="How it moved">
        {shown.map(({ at_ms, from, to, because }, index) => (
          <li key={`${at_ms} ${index}`} className={to > from ? 'is-danger' : 'is-good'}>
            <div>
              <div className="row">
                <strong className="number">
                  {scoreWords(from)} → {scoreWords(to)}
                </strong>
                <div className="spread" />
                <span className="faint">
                  <Time ms={at_ms} relative />
                </span>
              </div>
              <span className="muted wrap">
                <Words of={because} />
              </span>
            </div>
          </li>
        ))}
      </ul>
      {newest.length > shown.length && (
        <button type="button" className="link-button link" onClick={() => showAll(true)}>
          Show all {newest.length} moves
        </button>
      )}
    </section>
  );
}
