// The field for a statement, loaded when there is one: it is larger than the pages around it.
import { lazy, Suspense } from 'react';

import type { EditorProps } from './Editor';

const Editor = lazy(() => import('./Editor'));

export function LazyEditor(props: EditorProps) {
  return (
    <Suspense fallback={<div className="editor" />}>
      <Editor {...props} />
    </Suspense>
  );
}
