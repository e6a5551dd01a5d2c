// Routes that the generated types do not have yet, as the API has them. What is here goes away once `schema.d.ts` has it.
import type { TemplateDecision } from './types';

/** What decisions about templates would do to the inventory. */
export type TemplateEffect =
  | { kind: 'renamed' | 'retemplated'; endpoint: string; method: string; before: string; after: string }
  | { kind: 'merged'; endpoint: string; method: string; before: string; into: string }
  | { kind: 'made'; endpoint: string; method: string; after: string }
  | { kind: 'vanished'; endpoint: string; method: string; before: string }
  /** `method` is null where any would do. */
  | { kind: 'awaited'; method: string | null; template: string };

export interface TemplateEffects {
  items: TemplateEffect[];
  /** So many more there are. */
  left_out: number;
}

/** As `POST /api/v1/templates` takes it. */
export interface TemplatesForm {
  /** Ids. */
  taken_back: string[];
  decisions: TemplateDecision[];
}

export interface LakeColumn {
  name: string;
  type: string;
  unit?: string | null;
  words: string;
}

export interface LakeTable {
  name: string;
  words: string;
  columns: LakeColumn[];
}

export interface LakeFunction {
  name: string;
  /** How it is called, such as `date_bin(interval, expression, origin-timestamp)`. */
  call: string;
  words: string;
}

export interface LakeSchema {
  tables: LakeTable[];
  functions: LakeFunction[];
}

interface Ok<T> {
  responses: { 200: { headers: Record<string, unknown>; content: { 'application/json': T } } };
}

interface Plain {
  parameters: { query?: never; header?: never; path?: never; cookie?: never };
}

interface OfService {
  query: { gateway: string; workspace?: string; service: string; preview?: boolean };
  header?: never;
  path?: never;
  cookie?: never;
}

export interface Ahead {
  '/api/v1/lake/schema': Plain & { get: Plain & { requestBody?: never } & Ok<LakeSchema> };
  '/api/v1/templates/preview': Plain & {
    post: Plain & { requestBody: { content: { 'application/json': TemplatesForm } } } & Ok<TemplateEffects>;
  };
  '/api/v1/apis/document/pins': Plain & {
    post: { parameters: OfService; requestBody?: never } & Ok<TemplateEffects>;
  };
}
