//! The target database as questions see it.

pub mod read_schema;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use engine::guard::GuardedSql;
use engine::ports::{QueryLimits, TargetGeneration};
use engine::question::Provenance;
use engine::result::ResultSet;
use engine::schema::Schema;
use engine::{Code, Error};

/// One working copy, opened read-only.
pub struct SqliteGeneration {
    path: PathBuf,
    schema: Arc<Schema>,
    provenance: Box<dyn Fn() -> Provenance + Send + Sync>,
}

impl SqliteGeneration {
    /// Makes a generation over the file at `path`.
    pub fn new(
        path: PathBuf,
        schema: Arc<Schema>,
        provenance: Box<dyn Fn() -> Provenance + Send + Sync>,
    ) -> Self {
        Self {
            path,
            schema,
            provenance,
        }
    }
}

#[async_trait]
impl TargetGeneration for SqliteGeneration {
    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn provenance(&self) -> Provenance {
        (self.provenance)()
    }

    async fn query(&self, _: &GuardedSql, _: &QueryLimits) -> Result<ResultSet, Error> {
        Err(Error::new(
            Code::TargetDatabaseDown,
            format!("{}", self.path.display()),
        ))
    }
}
