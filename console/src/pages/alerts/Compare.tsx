// Observed against expected, as bars on one scale, with the line from which on it is an alert.
import type { Observation } from '../../api/types';
import { figure } from '../../parts/words';

export function Compare({ observation }: { observation: Observation }) {
  const { observed, expected, threshold, unit } = observation;
  const most = Math.max(observed, expected, threshold) * 1.06 || 1;
  const at = (value: number) => `${Math.min(Math.max((value / most) * 100, 0), 100)}%`;
  const rows = [
    { name: 'Observed', value: observed, colour: 'var(--high)' },
    { name: 'Expected', value: expected, colour: 'var(--calls)' },
  ];
  const times = expected > 0 ? observed / expected : undefined;
  return (
    <div className="compare">
      {rows.map(({ name, value, colour }) => (
        <div key={name} className="compare-row">
          <span className="muted">{name}</span>
          <div className="compare-track">
            <div
              className="compare-bar"
              style={{ width: at(value), background: `color-mix(in srgb, ${colour} 60%, var(--surface))` }}
            />
            <div
              className="compare-limit"
              style={{ left: at(threshold) }}
              title={`from ${figure(threshold)} ${unit} on it is an alert`}
            />
          </div>
          <span className="compare-number">{figure(value)}</span>
        </div>
      ))}
      <p className="muted">
        {unit.charAt(0).toUpperCase() + unit.slice(1)}.{' '}
        {times !== undefined && times >= 1.5 ? `${figure(times)} times what was expected. ` : ''}
        The line is at {figure(threshold)}: below it nothing would have been said.
      </p>
    </div>
  );
}
