//! What `init` and `doctor` show: a line for each step, with a tick or a cross and what to do.

use std::path::Path;
use std::process::ExitCode;

use engine::{Code, Error};
use serde::Serialize;
use serde_json::json;

use super::output;

/// Steps taken so far.
pub struct Steps {
    is_json: bool,
    taken: Vec<Step>,
}

#[derive(Serialize)]
struct Step {
    part: &'static str,
    ok: bool,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Steps {
    /// Shows each step as it is taken, or all of them at the end as one object.
    pub fn new(is_json: bool) -> Self {
        Self {
            is_json,
            taken: Vec::new(),
        }
    }

    /// Shows what came of a step and returns it if it went well.
    pub fn take(&mut self, part: &'static str, result: Result<String, Error>) -> Option<String> {
        let (step, found) = match result {
            Ok(found) => (Step::good(part, found.clone()), Some(found)),
            Err(error) => (Step::bad(part, &error), None),
        };
        self.add(step);
        found
    }

    /// Returns what a step gave, and shows it only if it failed.
    pub fn take_quietly<T>(&mut self, part: &'static str, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(given) => Some(given),
            Err(error) => {
                self.add(Step::bad(part, &error));
                None
            }
        }
    }

    /// Returns the exit code: 1 if a step failed.
    pub fn finish(self) -> ExitCode {
        let all_ok = self.taken.iter().all(|step| step.ok);
        if self.is_json {
            output::json_line(&json!({ "ok": all_ok, "checks": self.taken }));
        }
        ExitCode::from(u8::from(!all_ok))
    }

    fn add(&mut self, step: Step) {
        if !self.is_json {
            let mark = if step.ok { '✓' } else { '✗' };
            output::data(&format!("{mark} {:<14} {}", step.part, step.found));
            if let Some(hint) = &step.hint {
                output::data(&format!("  {:<14} hint: {hint}", ""));
            }
        }
        self.taken.push(step);
    }
}

impl Step {
    fn good(part: &'static str, found: String) -> Self {
        Self {
            part,
            ok: true,
            found,
            code: None,
            hint: None,
        }
    }

    fn bad(part: &'static str, error: &Error) -> Self {
        // Whoever runs a command on this machine may know the cause.
        let found = match error.cause() {
            Some(cause) => format!("{} ({cause})", error.message()),
            None => error.message().to_owned(),
        };
        Self {
            part,
            ok: false,
            found,
            code: Some(error.code().as_str()),
            hint: error.hint().map(str::to_owned),
        }
    }
}

/// Makes sure that a folder can be written, or made where there is none.
///
/// # Errors
///
/// [`Code::InvalidSetting`], naming the variable.
pub fn writable(variable: &str, folder: &Path) -> Result<(), Error> {
    let nearest = folder
        .ancestors()
        .find(|folder| folder.exists())
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    tempfile::tempfile_in(nearest).map(drop).map_err(|fault| {
        Error::new(
            Code::InvalidSetting,
            format!("the folder `{}` cannot be written", folder.display()),
        )
        .with_hint(format!(
            "let this user write to it, or choose another one with {variable}"
        ))
        .with_cause(fault)
    })
}
