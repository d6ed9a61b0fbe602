//! The index of everything, as work in the background.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CollectionStatus, IndexStage, Indexed, Source, index, status};
use crate::error::{Code, Error};
use crate::jobs::{Job, JobWork, OnJobProgress};
use crate::known::{KnownTerms, KnownVerified};
use crate::ports::{AskPorts, Collection, Embedder, JobProgress};

/// Makes the collections anew where what they were made from has changed.
pub struct IndexWork {
    ports: AskPorts,
    embedder: Arc<dyn Embedder>,
}

impl IndexWork {
    /// Makes the work; vectors come from `embedder`.
    pub fn new(ports: AskPorts, embedder: Arc<dyn Embedder>) -> Self {
        Self { ports, embedder }
    }

    /// Reads what each collection is to be made from. Without a target there are only terms and verified queries.
    ///
    /// # Errors
    ///
    /// [`Code::SystemStoreDown`], [`Code::TargetDatabaseDown`].
    pub async fn sources(&self) -> Result<Vec<Source>, Error> {
        let mut sources = Vec::new();
        match self.ports.target.current().await {
            Ok(target) => {
                let source = self.ports.known.schema_source(target.schema());
                sources.push(Source::clone(&source));
            }
            Err(fault) if fault.code() == Code::TargetDisabled => {}
            Err(fault) => return Err(fault),
        }
        let approved = KnownVerified::from(self.ports.store.approved_queries().await?);
        let terms = KnownTerms::from(self.ports.store.all_terms().await?);
        sources.extend([approved.source, terms.source]);
        Ok(sources)
    }

    /// Says how each collection stands to what it would be made from.
    ///
    /// # Errors
    ///
    /// As [`IndexWork::sources`], and [`Code::VectorStoreDown`].
    pub async fn status(&self) -> Result<Vec<CollectionStatus>, Error> {
        let sources = self.sources().await?;
        let hash = self.embedder.identity().hash;
        status(&*self.ports.vectors, &hash, &sources).await
    }

    /// Makes the collections.
    ///
    /// # Errors
    ///
    /// As [`IndexWork::sources`] and [`index`]; collections made before the fault stay.
    pub async fn make(
        &self,
        force: bool,
        progress: &dyn OnJobProgress,
    ) -> Result<Vec<Indexed>, Error> {
        let AskPorts { vectors, clock, .. } = &self.ports;
        let on_indexed = |collection: Collection, stage: IndexStage, done: u64, total: u64| {
            let what = match stage {
                IndexStage::Embedding => format!("embedding {}", collection.as_str()),
                IndexStage::Writing => format!("writing {}", collection.as_str()),
            };
            progress.report(JobProgress { what, done, total });
        };
        let mut made = Vec::new();
        for source in self.sources().await? {
            let one = index(
                &**vectors,
                &*self.embedder,
                &**clock,
                &source,
                force,
                &on_indexed,
            );
            made.push(one.await?);
        }
        Ok(made)
    }
}

#[async_trait]
impl JobWork for IndexWork {
    async fn run(&self, job: &Job, progress: &dyn OnJobProgress) -> Result<Option<String>, Error> {
        let force = matches!(job, Job::Index { force: true });
        let made = self.make(force, progress).await?;
        let told: Vec<String> = made
            .iter()
            .map(|one| {
                let name = one.collection.as_str();
                match one.was_fresh {
                    true => format!("{name} fresh"),
                    false => format!(
                        "{name} {} documents, {} embedded",
                        one.documents, one.embedded
                    ),
                }
            })
            .collect();
        Ok(Some(told.join("; ")))
    }
}
