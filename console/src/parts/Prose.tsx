// Outrider's own pages as they come from the API, in Markdown. They become elements, and never HTML.
import { Link } from 'react-router';

import { type Block, blocksOf, type Inline, inlineOf } from './prose';

/** Where a link of a page leads in the console; undefined where it has no such page, and the words stay words. */
type Leads = (link: string) => string | undefined;

const NOWHERE: Leads = () => undefined;

/** A page, without its title where whoever shows it has one. */
export function Prose({ page, leads = NOWHERE }: { page: string; leads?: Leads }) {
  const blocks = blocksOf(page).filter((block) => block.kind !== 'heading' || block.level > 1);
  return (
    <div className="prose">
      {blocks.map((block, index) => (
        <Shown key={index} block={block} leads={leads} />
      ))}
    </div>
  );
}

/** A line of text with code in it. */
export function Words({ of, leads = NOWHERE }: { of: string; leads?: Leads }) {
  return <Parts of={inlineOf(of)} leads={leads} />;
}

function Shown({ block, leads }: { block: Block; leads: Leads }) {
  switch (block.kind) {
    case 'heading':
      return (
        <h3>
          <Parts of={block.words} leads={leads} />
        </h3>
      );
    case 'paragraph':
      return (
        <p>
          <Parts of={block.words} leads={leads} />
        </p>
      );
    case 'list':
      return (
        <ul>
          {block.items.map((item, index) => (
            <li key={index}>
              <Parts of={item} leads={leads} />
            </li>
          ))}
        </ul>
      );
    case 'code':
      return <pre className="sql">{block.text}</pre>;
  }
}

function Parts({ of, leads }: { of: Inline[]; leads: Leads }) {
  return of.map((part, index) => {
    if ('code' in part) return <code key={index}>{part.code}</code>;
    if (!('link' in part)) return part.text;
    const to = leads(part.link);
    return to ? (
      <Link key={index} to={to}>
        {part.text}
      </Link>
    ) : (
      part.text
    );
  });
}
