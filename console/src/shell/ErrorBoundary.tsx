// A page that breaks does not take the others with it.
import { Component, type ReactNode } from 'react';

import { Trouble } from '../parts/basics';

interface Props {
  /** Which page it is: another one is tried anew. */
  path: string;
  children: ReactNode;
}

interface State {
  path: string;
  error?: Error;
}

export class ErrorBoundary extends Component<Props, State> {
  override state: State = { path: this.props.path };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  static getDerivedStateFromProps({ path }: Props, state: State): State | null {
    return path === state.path ? null : { path, error: undefined };
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <div style={{ padding: 24 }}>
        <Trouble error={this.state.error} again={() => this.setState({ error: undefined })} />
      </div>
    );
  }
}
