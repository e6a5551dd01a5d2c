// A field for a statement, with colours, and completion from what the lake says of itself.
//
// It stands in a shadow root: only there does the editor put its styles into a style sheet of the document's model. In the page it
// would write them into a <style>, which the Content-Security-Policy forbids.
import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  closeCompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult,
  acceptCompletion,
  completionKeymap,
  ifNotIn,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { SQLDialect } from '@codemirror/lang-sql';
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { Compartment, EditorSelection, EditorState, Prec, type SelectionRange } from '@codemirror/state';
import { drawSelection, EditorView, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { type QueryClient, useQuery, useQueryClient } from '@tanstack/react-query';
import { type RefObject, useEffect, useRef } from 'react';

import type { SchemaWords } from '../../api/types';
import { type Choice, choices, ofHunt, schemaOfLake, TYPES, WORDS } from './schema';

export interface EditorProps {
  /** The text that it begins with. */
  statement: string;
  /** Where this changes, the statement is written in the place of the text; else what was typed is left alone. */
  edition?: number;
  change: (statement: string) => void;
  /** What Ctrl Enter does, where it does something. */
  run?: (statement: string) => void;
  /** Whoever wants to write into it finds it here. */
  viewRef: RefObject<EditorView | null>;
  isReadOnly?: boolean;
  /** What is said of it beside it: a label outside of the shadow root cannot be referred to from inside. */
  description?: string;
  isRequired?: boolean;
  /** For a statement of a hunt. */
  isOfHunt?: boolean;
}

/** What stands in these is meant as it is written. */
const AS_WRITTEN = ['String', 'LineComment', 'BlockComment', 'QuotedIdentifier'];
/** The dialect knows these as values by itself; as keywords they would lose that. */
const VALUES = new Set(['true', 'false', 'null']);
const NOTHING: SchemaWords = { tables: [], functions: [] };

export default function Editor(props: EditorProps) {
  const {
    statement,
    edition,
    change,
    run,
    viewRef,
    isReadOnly = false,
    description,
    isRequired = false,
    isOfHunt = false,
  } = props;
  const frame = useRef<HTMLDivElement>(null);
  const first = useRef(statement);
  const known = useRef({ statement, change, run });
  const dialect = useRef(new Compartment());
  const client = useQueryClient();
  const schema = useQuery(schemaOfLake);
  useEffect(() => {
    known.current = { statement, change, run };
  });

  useEffect(() => {
    const root = frame.current!.shadowRoot ?? frame.current!.attachShadow({ mode: 'open' });
    const made = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: first.current,
        extensions: [
          LOOKS,
          syntaxHighlighting(COLOURS),
          dialect.current.of(dialectOf(NOTHING)),
          lineNumbers(),
          history(),
          drawSelection(),
          bracketMatching(),
          closeBrackets(),
          EditorView.lineWrapping,
          autocompletion({
            override: [ifNotIn(AS_WRITTEN, (context) => complete(context, client, isOfHunt))],
            icons: false,
          }),
          Prec.highest(
            keymap.of([
              {
                key: 'Mod-Enter',
                // Where it does nothing, the key's own meaning would be a blank line.
                run: (editor) => {
                  if (known.current.run) {
                    closeCompletion(editor);
                    known.current.run(editor.state.doc.toString());
                  }
                  return true;
                },
              },
            ]),
          ),
          keymap.of([
            { key: 'Tab', run: acceptCompletion },
            ...closeBracketsKeymap,
            ...completionKeymap,
            ...historyKeymap,
            ...defaultKeymap,
          ]),
          EditorView.domEventHandlers({ beforeinput: replaceChosen }),
          // It can be reached and read all the same. The commands look at the first, what writes by itself is kept by the second.
          EditorState.readOnly.of(isReadOnly),
          EditorState.changeFilter.of(() => !isReadOnly),
          EditorView.contentAttributes.of({
            'aria-label': 'SQL statement',
            ...(description && { 'aria-description': description }),
            ...(isRequired && { 'aria-required': 'true' }),
          }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) known.current.change(update.state.doc.toString());
          }),
        ],
      }),
    });
    viewRef.current = made;
    return () => {
      first.current = made.state.doc.toString();
      made.destroy();
      viewRef.current = null;
    };
  }, [viewRef, client, isReadOnly, description, isRequired, isOfHunt]);

  useEffect(() => {
    if (!schema.data) return;
    const made = viewRef.current!;
    // It may come between what somebody chooses and what they type over it, and would put back what was chosen before. Where that
    // is known already, a completion that waits for this goes on.
    const chosen = chosenIn(made);
    const selection = chosen.eq(made.state.selection.main) ? undefined : chosen;
    made.dispatch({ effects: dialect.current.reconfigure(dialectOf(schema.data)), selection });
  }, [viewRef, schema.data, isReadOnly, description, isRequired, isOfHunt]);

  useEffect(() => {
    const { state } = viewRef.current!;
    const { statement: insert } = known.current;
    if (state.doc.toString() !== insert)
      viewRef.current!.dispatch({ changes: { from: 0, to: state.doc.length, insert } });
  }, [viewRef, edition]);

  return <div className="editor" ref={frame} />;
}

/** A browser that replaces coloured text itself keeps its colour in an inline style, which the Content-Security-Policy forbids. */
function replaceChosen(event: InputEvent, view: EditorView): boolean {
  if (event.inputType !== 'insertText' || event.data === null || view.composing) return false;
  const selection = chosenIn(view);
  if (selection.empty) return false;
  event.preventDefault();
  view.dispatch({ selection });
  const { from, to } = selection;
  const insert = () => view.state.update(view.state.replaceSelection(event.data!), { userEvent: 'input.type' });
  const handlers = view.state.facet(EditorView.inputHandler);
  if (!handlers.some((handle) => handle(view, from, to, event.data!, insert))) view.dispatch(insert());
  return true;
}

/** What is chosen by the browser. The editor hears of it later, and not before something that is done at once. */
function chosenIn(view: EditorView): SelectionRange {
  // Only some browsers have one of their own for a shadow root.
  const root = view.root as Document;
  const chosen = typeof root.getSelection === 'function' ? root.getSelection() : document.getSelection();
  const isInside = (node: Node | null | undefined) => node != null && view.contentDOM.contains(node);
  if (!chosen || !isInside(chosen.anchorNode) || !isInside(chosen.focusNode)) return view.state.selection.main;
  const anchor = view.posAtDOM(chosen.anchorNode!, chosen.anchorOffset);
  return EditorSelection.range(anchor, view.posAtDOM(chosen.focusNode!, chosen.focusOffset));
}

/** What the lake's own SQL has, so that a column named like a word of another database looks like a column. */
function dialectOf({ functions }: SchemaWords) {
  const words = new Set(WORDS.map((word) => word.toLowerCase()));
  return SQLDialect.define({
    keywords: [...words].filter((word) => !VALUES.has(word)).join(' '),
    types: TYPES.join(' ').toLowerCase(),
    builtin: functions
      .map(({ name }) => name)
      .filter((name) => !words.has(name))
      .join(' '),
    doubleDollarQuotedStrings: true,
    caseInsensitiveIdentifiers: true,
  }).extension;
}

/** Functions and words that only happen to fit stand behind what the statement is about. */
const BOOSTS: Record<Choice['kind'], number> = { column: 3, table: 2, function: 1, word: 0 };

async function complete(
  context: CompletionContext,
  client: QueryClient,
  isOfHunt: boolean,
): Promise<CompletionResult | null> {
  const word = context.matchBefore(/\w*/);
  const isBehindDot = context.matchBefore(/\w\.\w*/) !== null;
  if (!context.explicit && !isBehindDot && (word === null || word.text.length < 2)) return null;
  // A lake that does not say what it has is not asked again with every key.
  const hasFailed = client.getQueryState(schemaOfLake.queryKey)?.status === 'error';
  const lake = hasFailed ? NOTHING : await client.ensureQueryData(schemaOfLake).catch(() => NOTHING);
  const options = choices(context.state.doc.toString(), context.pos, isOfHunt ? ofHunt(lake) : lake).map(
    ({ label, kind, detail, words }): Completion => ({
      label,
      detail,
      info: words,
      boost: BOOSTS[kind],
      type: kind,
      apply: kind === 'function' ? callOf : undefined,
    }),
  );
  return { from: word?.from ?? context.pos, options, validFor: /^\w*$/ };
}

/** Writes a function with its parentheses, and goes between them. */
function callOf(view: EditorView, { label }: Completion, from: number, to: number): void {
  const hasOne = view.state.sliceDoc(to, to + 1) === '(';
  view.dispatch({
    changes: { from, to, insert: hasOne ? label : `${label}()` },
    selection: { anchor: from + label.length + 1 },
  });
}

const COLOURS = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--accent)', fontWeight: '600' },
  { tag: tags.typeName, color: 'var(--accent)' },
  { tag: tags.standard(tags.name), color: 'var(--refused)' },
  { tag: tags.string, color: 'var(--ok)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--high)' },
  { tag: [tags.lineComment, tags.blockComment], color: 'var(--faint)', fontStyle: 'italic' },
  { tag: [tags.operator, tags.punctuation], color: 'var(--muted)' },
]);

const LOOKS = EditorView.theme({
  '&': {
    backgroundColor: 'var(--surface)',
    borderRadius: 'inherit',
    color: 'var(--text)',
    fontSize: '12.5px',
    maxHeight: '44vh',
  },
  '&.cm-focused': { outline: 'none', boxShadow: 'inset 2px 0 0 var(--accent)' },
  '.cm-scroller': {
    fontFamily: 'var(--mono)',
    fontVariantLigatures: 'none',
    lineHeight: '1.6',
    minHeight: '142px',
    overflow: 'auto',
  },
  '.cm-content': { padding: '12px 0', caretColor: 'var(--text)' },
  '.cm-line': { padding: '0 24px 0 12px' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-gutters': { backgroundColor: 'transparent', border: 'none', color: 'var(--faint)', minWidth: '40px' },
  '.cm-lineNumbers .cm-gutterElement': { minWidth: '36px', padding: '0 4px 0 0' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    background: 'color-mix(in srgb, var(--accent) 28%, transparent)',
  },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--accent-soft)', outline: '1px solid var(--accent)' },
  '.cm-tooltip': {
    backgroundColor: 'var(--raised)',
    border: '1px solid var(--line-strong)',
    borderRadius: '8px',
    boxShadow: 'var(--shadow)',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', maxHeight: '264px', padding: '4px' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': {
    display: 'flex',
    gap: '16px',
    justifyContent: 'space-between',
    lineHeight: '1.4',
    padding: '4px 8px',
    borderRadius: '5px',
    color: 'var(--text)',
  },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { background: 'var(--accent-soft)', color: 'var(--text)' },
  '.cm-completionDetail': {
    color: 'var(--faint)',
    fontStyle: 'normal',
    maxWidth: '260px',
    overflow: 'hidden',
    textOverflow: 'ellipsis',
  },
  '.cm-completionMatchedText': { textDecoration: 'none', color: 'var(--accent)' },
  '.cm-tooltip.cm-completionInfo': {
    color: 'var(--muted)',
    fontFamily: 'var(--mantine-font-family)',
    fontSize: '12px',
    lineHeight: '1.45',
    maxWidth: '320px',
    padding: '8px 10px',
  },
});
