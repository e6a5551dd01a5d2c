//! Queries of the lake, on threads of their own, so that they delay neither the API nor the analysis.

use std::ops::RangeInclusive;
use std::sync::Arc;

use outrider_lake::arrow::array::RecordBatch;
use outrider_lake::{
    Answer, Beside, HuntAnswer, LakeReader, LakeSchema, Location, Page, QueryError, QueryLimits, Range, Search, Span,
    Step, Suggestion, Tail,
};
use outrider_model::{EntityKind, Hunt, HuntWindow, Subject};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::PlatformError;

/// Who may ask the lake, and on which threads.
#[derive(Clone)]
pub struct Queries {
    reader: Arc<LakeReader>,
    beside: Arc<Beside>,
    threads: Handle,
}

/// The threads; they end with it.
pub(crate) struct QueryThreads(Option<Runtime>);

impl Queries {
    /// Opens the lake for asking.
    pub(crate) fn start(
        lake: &Location,
        tail: Tail,
        beside: Beside,
        limits: QueryLimits,
    ) -> Result<(Queries, QueryThreads), PlatformError> {
        let reader = Arc::new(LakeReader::open(lake, Some(tail), limits)?);
        let runtime = Builder::new_multi_thread()
            .worker_threads(limits.threads)
            .thread_name("lake-query")
            .enable_all()
            .build()
            .map_err(|source| PlatformError::System { doing: "start the threads of queries", source })?;
        let threads = runtime.handle().clone();
        Ok((Queries { reader, beside: Arc::new(beside), threads }, QueryThreads(Some(runtime))))
    }

    /// Begins to answer a statement, and hands the rows to `take` as they come. When the caller goes away the query ends.
    pub async fn run<T, F, R>(&self, statement: String, take: F) -> Result<T, QueryError>
    where
        T: Send + 'static,
        F: FnOnce(Answer) -> R + Send + 'static,
        R: Future<Output = Result<T, QueryError>> + Send,
    {
        let (reader, beside) = (Arc::clone(&self.reader), Arc::clone(&self.beside));
        self.on_threads(async move { take(reader.query(&statement, &beside).await?).await }).await
    }

    /// What a statement may name.
    pub async fn schema(&self) -> Result<LakeSchema, QueryError> {
        let (reader, beside) = (Arc::clone(&self.reader), Arc::clone(&self.beside));
        self.on_threads(async move { reader.schema(&beside).await }).await
    }

    /// A page of an entity's calls; a consumer may be meant by its name.
    pub async fn page(&self, kind: EntityKind, entity: String, range: Range) -> Result<Page, QueryError> {
        let reader = Arc::clone(&self.reader);
        self.on_threads(async move { reader.page(kind.as_str(), &entity, &range).await }).await
    }

    /// The call at a place in the log, at one of the gateways.
    pub async fn call(
        &self,
        position: i64,
        index: i32,
        gateways: Option<Vec<String>>,
    ) -> Result<Option<RecordBatch>, QueryError> {
        let reader = Arc::clone(&self.reader);
        self.on_threads(async move { reader.call(position, index, gateways.as_deref()).await }).await
    }

    /// The id by which calls have somebody that they do not have by this one.
    pub async fn id_meant(&self, subject: &Subject) -> Result<Option<String>, QueryError> {
        let (reader, Subject { kind, value }) = (Arc::clone(&self.reader), subject.clone());
        self.on_threads(async move { reader.id_meant(kind.as_str(), &value).await }).await
    }

    /// How an entity's calls lie in time; a consumer may be meant by its name.
    pub async fn density(
        &self,
        kind: EntityKind,
        entity: String,
        span: Span,
        gateways: Option<Vec<String>>,
    ) -> Result<Vec<Step>, QueryError> {
        let reader = Arc::clone(&self.reader);
        self.on_threads(async move { reader.density(kind.as_str(), &entity, span, gateways.as_deref()).await }).await
    }

    /// What a search that is being typed may go on with.
    pub async fn complete(&self, search: String, gateways: Option<Vec<String>>) -> Result<Vec<Suggestion>, QueryError> {
        let reader = Arc::clone(&self.reader);
        self.on_threads(async move { reader.complete(&search, gateways.as_deref()).await }).await
    }

    /// A page of the calls that a search finds.
    pub async fn search(&self, search: Search, range: Range) -> Result<Page, QueryError> {
        let reader = Arc::clone(&self.reader);
        self.on_threads(async move { reader.search(&search, &range).await }).await
    }

    /// Refuses a hunt that cannot be answered.
    pub async fn check_hunt(&self, hunt: Hunt) -> Result<(), QueryError> {
        let reader = Arc::clone(&self.reader);
        self.on_threads(async move { reader.check_hunt(&hunt).await }).await
    }

    /// Answers a hunt beside people's queries; who calls it runs one at a time. The calls of some log records are left out.
    pub(crate) async fn hunt(
        &self,
        hunt: Hunt,
        window: impl FnOnce(u64) -> HuntWindow + Send + 'static,
        left_out: Vec<RangeInclusive<u64>>,
    ) -> Result<HuntAnswer, QueryError> {
        let reader = Arc::clone(&self.reader);
        self.on_threads(async move { reader.hunt(&hunt, window, &left_out).await }).await
    }

    /// Answers a hunt for a person, as one of people's queries.
    pub(crate) async fn try_hunt(
        &self,
        hunt: Hunt,
        window: impl FnOnce(u64) -> HuntWindow + Send + 'static,
    ) -> Result<HuntAnswer, QueryError> {
        let reader = Arc::clone(&self.reader);
        self.on_threads(async move { reader.try_hunt(&hunt, window).await }).await
    }

    async fn on_threads<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        let task = tokio_util::task::AbortOnDropHandle::new(self.threads.spawn(work));
        task.await.unwrap_or_else(|error| {
            Err(match error.is_panic() {
                true => QueryError::Failed(error.to_string()),
                false => QueryError::Statement("outrider stopped before the query was answered".to_owned()),
            })
        })
    }
}

impl Drop for QueryThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // What is still asked has no reader any more.
            runtime.shutdown_background();
        }
    }
}
