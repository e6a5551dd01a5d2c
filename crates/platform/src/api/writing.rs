//! A connection that is given up when its client does not take what is written to it.
//!
//! Without this, whoever asks and does not read the answer would hold a connection for as long as they like.

use std::future::Future as _;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A connection whose writes fail when nothing can be written for too long. Each byte that is taken begins the time anew.
pub(super) struct WriteLimited<S> {
    io: S,
    // Apart from each other: a socket's flush is ready at once, whatever waits to be written.
    writing: Patience,
    flushing: Patience,
}

impl<S> WriteLimited<S> {
    pub(super) fn new(io: S, most: Duration) -> Self {
        WriteLimited { io, writing: Patience::new(most), flushing: Patience::new(most) }
    }
}

struct Patience {
    most: Duration,
    /// Runs while nothing goes on.
    end: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(most: Duration) -> Self {
        Patience { most, end: None }
    }

    fn wait_for<T>(&mut self, outcome: Poll<Result<T>>, context: &mut Context<'_>) -> Poll<Result<T>> {
        if outcome.is_ready() {
            self.end = None;
            return outcome;
        }
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(self.most)));
        ready!(end.as_mut().poll(context));
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client does not read what is written to it")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteLimited<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteLimited<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write(context, bytes);
        self.writing.wait_for(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.writing.wait_for(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_flush(context);
        self.flushing.wait_for(outcome, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_shutdown(context);
        self.flushing.wait_for(outcome, context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::Instant;

    use super::*;

    const MOST: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_is_given_up() {
        let (near, _far) = duplex(64);
        let begun = Instant::now();
        let error = WriteLimited::new(near, MOST).write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed().as_secs()), (ErrorKind::TimedOut, 30));
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_is_waited_for_and_reading_is_not_limited() {
        let (near, mut far) = duplex(64);
        let mut near = WriteLimited::new(near, MOST);
        let slow = async {
            let mut read = [0; 1];
            for _ in 0..1000 {
                tokio::time::sleep(MOST / 2).await;
                far.read_exact(&mut read).await.unwrap();
            }
            tokio::time::sleep(MOST * 2).await;
            far.write_all(&[1]).await.unwrap();
        };
        let writing = async {
            near.write_all(&[0; 1000]).await.unwrap();
            near.flush().await.unwrap();
            assert_eq!(near.read_u8().await.unwrap(), 1);
        };
        tokio::join!(slow, writing);
    }
}
