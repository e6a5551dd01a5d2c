// Names with a number each as bars, in the order of the answer.
import { Link } from 'react-router';

import { exact } from '../../parts/words';

export interface Bar {
  name: string;
  /** Where the name leads. */
  to?: string;
  value: number;
}

/** More bars say nothing. */
const BARS_MAX = 50;

export function Bars({ label, bars }: { label: string; bars: Bar[] }) {
  const shown = bars.slice(0, BARS_MAX);
  const most = Math.max(...shown.map(({ value }) => value), 0);
  return (
    <div className="bars">
      <table>
        <caption className="faint">{label}</caption>
        <tbody>
          {shown.map(({ name, to, value }, index) => (
            <tr key={index}>
              <th scope="row" className="cut" title={name}>
                {to ? <Link to={to}>{name}</Link> : name}
              </th>
              <td>
                <div className="bar" style={{ width: `${most > 0 ? (Math.max(value, 0) / most) * 100 : 0}%` }} />
              </td>
              <td className="number">{exact(value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {bars.length > shown.length && <p className="faint">{`The first ${shown.length} of ${bars.length} rows.`}</p>}
    </div>
  );
}
