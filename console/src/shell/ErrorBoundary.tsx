// A page that breaks does not take the others with it.
import { Component, type ReactNode } from 'react';

import { Trouble } from '../parts/basics';

export class ErrorBoundary extends Component<{ children: ReactNode }, { error?: Error }> {
  override state: { error?: Error } = {};

  static getDerivedStateFromError(error: Error) {
    return { error };
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
