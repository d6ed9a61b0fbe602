//! What the first page does, step by step. Each can be tried again until it succeeds.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::accounts::joining;
use engine::ports::Ports;
use engine::{Code, Error};
use llm::pull::{self, PullEvent, Purpose, Stage, Tools};
use serde::Serialize;
use stores::golden_copy::{CopyPhase, CopyProgress};
use tokio::sync::Notify;

use super::choose;
use crate::config::{Settings, TargetSource};
use crate::wire;

/// One setting up.
pub struct Setup {
    ports: Ports,
    settings: Mutex<Settings>,
    code: String,
    status: Mutex<Status>,
    finished: Notify,
}

/// How far it is, as the page is told.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Status {
    /// The administrator's address, once there is one.
    administrator: Option<String>,
    /// The model is here, or is not needed here.
    has_model: bool,
    /// What comes from elsewhere now.
    fetching: Option<Doing>,
    /// What is copied now.
    copying: Option<Doing>,
    /// What is in service.
    target: Option<Target>,
    /// Why the last try of fetching or copying failed.
    problem: Option<Failed>,
}

#[derive(Debug, Clone, Serialize)]
struct Doing {
    what: &'static str,
    done: u64,
    /// 0 where nothing is counted.
    total: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Target {
    name: String,
    tables: usize,
    rows: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Failed {
    code: &'static str,
    message: String,
    hint: Option<String>,
}

impl Setup {
    pub fn new(ports: Ports, settings: Settings, code: String) -> Self {
        let status = Status {
            has_model: has_model(&settings),
            ..Status::default()
        };
        Self {
            ports,
            settings: Mutex::new(settings),
            code,
            status: Mutex::new(status),
            finished: Notify::new(),
        }
    }

    /// Returns the settings as far as they are known.
    pub fn settings(&self) -> Settings {
        self.settings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until everything is there and somebody said so.
    pub async fn finished(&self) {
        self.finished.notified().await;
    }

    /// Lets in who has the code. Compared by hashes, so that the time it takes tells nothing.
    pub fn check(&self, code: &str) -> Result<(), Error> {
        if blake3::hash(code.as_bytes()) == blake3::hash(self.code.as_bytes()) {
            return Ok(());
        }
        Err(Error::new(
            Code::InvalidCredentials,
            "this is not the code of the terminal",
        )
        .with_hint("open the address that `assay serve` printed"))
    }

    pub fn status(&self) -> Status {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates the administrator.
    pub async fn create_administrator(
        &self,
        email: &str,
        full_name: &str,
        password: &str,
    ) -> Result<(), Error> {
        joining::first_administrator(&self.ports, email, full_name, password).await?;
        self.lock().administrator = Some(email.trim().to_owned());
        Ok(())
    }

    /// Begins to fetch the models.
    pub fn fetch_models(self: &Arc<Self>) -> Result<(), Error> {
        self.begin(|status| &mut status.fetching)?;
        let setup = Arc::clone(self);
        tokio::spawn(async move {
            let fetched = setup.pull().await;
            let mut status = setup.lock();
            status.fetching = None;
            status.has_model = has_model(&setup.settings());
            status.problem = fetched.err().map(Failed::of);
        });
        Ok(())
    }

    async fn pull(self: &Arc<Self>) -> Result<(), Error> {
        let settings = self.settings();
        let folder = pull::models_dir(&wire::cache_dir(&settings.llm)?);
        let setup = Arc::clone(self);
        let watch: pull::Watch = Arc::new(move |event| {
            if let PullEvent::Progress(stage, done, total) = event {
                let what = match stage {
                    Stage::Fetching => "fetching",
                    Stage::Joining => "joining",
                    Stage::Writing => "writing",
                    Stage::Checking => "checking",
                };
                setup.lock().fetching = Some(Doing { what, done, total });
            }
        });
        for purpose in [Purpose::Generating, Purpose::Embedding] {
            let model = pull::default_model(purpose);
            pull::pull(model, &folder, None, &Tools::default(), &watch).await?;
        }
        Ok(())
    }

    /// Begins to copy a file, which is the target from now on if that succeeds.
    pub fn copy(self: &Arc<Self>, source: TargetSource) -> Result<(), Error> {
        self.begin(|status| &mut status.copying)?;
        let setup = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let copied = setup.copied(source);
            let mut status = setup.lock();
            status.copying = None;
            match copied {
                Ok(target) => status.target = Some(target),
                Err(fault) => status.problem = Some(Failed::of(fault)),
            }
        });
        Ok(())
    }

    fn copied(&self, source: TargetSource) -> Result<Target, Error> {
        let mut settings = self.settings();
        settings.target.source = source;
        let report = |progress: CopyProgress| self.lock().copying = Some(Doing::of(progress));
        let copy = wire::open_golden_copy(&settings, None, &report)?;
        let status = copy.map(|copy| copy.status());
        let in_service = status
            .as_ref()
            .and_then(|status| status.in_service.as_ref());
        let (Some(status), Some(in_service)) = (&status, in_service) else {
            return Err(Error::new(Code::Internal, "the file was not copied"));
        };
        let target = Target {
            name: match settings.target.source {
                TargetSource::Demo(_) => "the demo company".into(),
                _ => status.original.display().to_string(),
            },
            tables: in_service.tables,
            rows: in_service.rows,
        };
        choose(&settings, &settings.target.source)?;
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
        Ok(target)
    }

    /// Takes a place for work of which there is one at a time.
    fn begin(&self, of: impl Fn(&mut Status) -> &mut Option<Doing>) -> Result<(), Error> {
        let mut status = self.lock();
        if of(&mut status).is_some() {
            return Err(Error::new(Code::Conflict, "that is being done already"));
        }
        *of(&mut status) = Some(Doing {
            what: "beginning",
            done: 0,
            total: 0,
        });
        status.problem = None;
        Ok(())
    }

    /// Ends the setting up: the server begins.
    pub fn finish(&self) -> Result<(), Error> {
        let missing = {
            let status = self.lock();
            [
                (status.administrator.is_none(), "an administrator"),
                (!status.has_model, "a language model"),
                (status.target.is_none(), "a database to ask"),
            ]
        };
        if let Some((_, what)) = missing.iter().find(|(is_missing, _)| *is_missing) {
            return Err(Error::new(
                Code::Conflict,
                format!("{what} is still missing"),
            ));
        }
        self.finished.notify_one();
        Ok(())
    }

    /// Returns where an uploaded file goes.
    pub fn upload_path(&self) -> PathBuf {
        self.settings().data_dir.join("uploaded.sqlite")
    }

    /// Returns where the demo company goes.
    pub fn demo_path(&self) -> PathBuf {
        self.settings().data_dir.join("demo_company.db")
    }
}

/// A model that is asked elsewhere is not needed here.
fn has_model(settings: &Settings) -> bool {
    !matches!(wire::generator(&settings.llm), Err(fault) if fault.code() == Code::ModelMissing)
}

impl Doing {
    fn of(progress: CopyProgress) -> Self {
        let what = match progress.phase {
            CopyPhase::Waiting => "waiting",
            CopyPhase::Fingerprinting => "reading",
            CopyPhase::Copying => "copying",
            CopyPhase::Verifying => "verifying",
            CopyPhase::Recovering => "recovering",
            CopyPhase::CheckingIntegrity => "checking",
            CopyPhase::ReadingSchema => "reading_schema",
            CopyPhase::Publishing => "publishing",
        };
        Self {
            what,
            done: progress.done,
            total: progress.total,
        }
    }
}

impl Failed {
    fn of(fault: Error) -> Self {
        Self {
            code: fault.code().as_str(),
            message: fault.message().to_owned(),
            hint: fault.hint().map(str::to_owned),
        }
    }
}
