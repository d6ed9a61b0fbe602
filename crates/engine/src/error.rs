//! One error type with one stable code per fault. Adapters map their drivers' errors into it at their own edge.

use std::fmt;
use std::time::Duration;

/// What went wrong, as the caller may see it, with the cause kept apart for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: Code,
    message: String,
    hint: Option<String>,
    cause: Option<String>,
    correction: Option<Box<Correction>>,
    retry_after: Option<Duration>,
}

/// The one certain way to put a fault of SQL right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Correction {
    /// One text in place of another, as both stand in the SQL.
    Replace {
        /// What is wrong.
        wrong: String,
        /// What is right.
        right: String,
    },
    /// One more table in FROM.
    Join(MissingJoin),
}

/// A table that a SELECT names a column of and does not join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingJoin {
    /// The column as it stands in the SQL.
    pub wrong: String,
    /// The column with the table that has it.
    pub right: String,
    /// What to put at the end of the FROM clause: `JOIN teams ON teams.id = people.team_id`.
    pub join: String,
}

impl Error {
    /// Makes an error whose `message` is for the caller: lowercase, no full stop, naming the thing and the value.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            cause: None,
            correction: None,
            retry_after: None,
        }
    }

    /// Adds what the caller can do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the native cause, which goes to the log only and never to the caller.
    #[must_use]
    pub fn with_cause(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Adds the one certain correction: `right` in place of `wrong`, as they stand in the SQL.
    #[must_use]
    pub fn with_correction(mut self, wrong: impl Into<String>, right: impl Into<String>) -> Self {
        self.correction = Some(Box::new(Correction::Replace {
            wrong: wrong.into(),
            right: right.into(),
        }));
        self
    }

    /// Adds the one certain correction: a table that is not in FROM and has the column.
    #[must_use]
    pub fn with_missing_join(mut self, join: MissingJoin) -> Self {
        self.correction = Some(Box::new(Correction::Join(join)));
        self
    }

    /// Adds how long to wait before it makes sense to try again.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Returns how long to wait before it makes sense to try again, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns the one certain correction.
    pub fn correction(&self) -> Option<&Correction> {
        self.correction.as_deref()
    }

    /// Returns the stable code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Returns the message for the caller.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns what the caller can do next, if anything is known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Returns the native cause for the log.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The few kinds of fault; each has one HTTP status and one log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request itself is wrong (400).
    Invalid,
    /// Who is asking is unknown (401).
    Unauthenticated,
    /// The actor may not do this (403).
    Forbidden,
    /// No such thing, or the actor may not know of it (404).
    NotFound,
    /// It clashes with what is there (409).
    Conflict,
    /// A guard or policy decided not to answer (422).
    Refused,
    /// Too many requests (429).
    TooMany,
    /// Our own fault (500).
    Internal,
    /// A service we asked gave no usable reply (502).
    Upstream,
    /// A part we need is down (503).
    Unavailable,
    /// A part we need took too long (504).
    Timeout,
}

impl Kind {
    /// Returns the HTTP status of this kind.
    pub fn status(self) -> u16 {
        match self {
            Kind::Invalid => 400,
            Kind::Unauthenticated => 401,
            Kind::Forbidden => 403,
            Kind::NotFound => 404,
            Kind::Conflict => 409,
            Kind::Refused => 422,
            Kind::TooMany => 429,
            Kind::Internal => 500,
            Kind::Upstream => 502,
            Kind::Unavailable => 503,
            Kind::Timeout => 504,
        }
    }
}

macro_rules! codes {
    ($($variant:ident $text:literal $kind:ident $doc:literal;)*) => {
        /// The stable codes. A code never changes its meaning; new ones may be added.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $doc] $variant,)* }

        impl Code {
            /// Every code there is, for documentation and tests.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// Returns the code as it stands in answers and in the system store.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }

            /// Returns the kind of fault.
            pub fn kind(self) -> Kind {
                match self { $(Code::$variant => Kind::$kind,)* }
            }

            /// Returns what the code means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $doc,)* }
            }
        }
    };
}

codes! {
    InvalidRequest "invalid_request" Invalid "The request is malformed.";
    InvalidQuestion "invalid_question" Invalid "The question is empty, too long or not text.";
    InvalidSql "invalid_sql" Invalid "The SQL cannot be parsed or prepared by SQLite.";
    InvalidSetting "invalid_setting" Invalid "A setting has a value that cannot be used.";
    EmptyInput "empty_input" Invalid "Nothing was given where something is needed.";
    InvalidTarget "invalid_target" Invalid "The target file is corrupt, encrypted, empty or not SQLite.";
    TargetNotFound "target_not_found" Invalid "The target file does not exist or cannot be read.";
    InvalidPassword "invalid_password" Invalid "The new password is too short, too long or known from breaches.";
    InvalidToken "invalid_token" Invalid "The token of a letter is unknown, used or expired.";
    InvalidBackup "invalid_backup" Invalid "The backup is incomplete, damaged or of another kind of store.";
    InvalidModel "invalid_model" Invalid "The model file does not exist, is not GGUF or is not the file that was pinned.";
    MissingCredentials "missing_credentials" Unauthenticated "No token was given.";
    InvalidCredentials "invalid_credentials" Unauthenticated "The e-mail address or the password is wrong.";
    SessionExpired "session_expired" Unauthenticated "The session is over; log in again.";
    RoleTooLow "role_too_low" Forbidden "The actor's role may not do this.";
    SessionRequired "session_required" Forbidden "An API key may not do this; it takes a session.";
    RegistrationClosed "registration_closed" Forbidden "The policy for new accounts does not let this in.";
    OwnProposal "own_proposal" Forbidden "Nobody reviews a proposal of their own.";
    CrossSite "cross_site" Forbidden "A page of another site tried to use the session's cookie.";
    NotFound "not_found" NotFound "There is no such thing.";
    QueryNotFound "query_not_found" NotFound "There is no such query, or it belongs to someone else.";
    ConversationNotFound "conversation_not_found" NotFound "There is no such conversation, or it belongs to someone else.";
    EmailTaken "email_taken" Conflict "A user has this e-mail address already.";
    NameTaken "name_taken" Conflict "The name is in use already.";
    LastAdmin "last_admin" Conflict "No active administrator would be left.";
    StoreNotEmpty "store_not_empty" Conflict "The system store holds data that would be replaced.";
    BackupsDisabled "backups_disabled" Conflict "No folder for backups is configured.";
    JobUnavailable "job_unavailable" Conflict "This installation has nothing that this kind of job could do.";
    SetupDue "setup_due" Conflict "Assay is being set up, and answers when that is done.";
    Conflict "conflict" Conflict "The change clashes with what is there.";
    MethodNotAllowed "method_not_allowed" Invalid "The route does not answer this method.";
    PayloadTooLarge "payload_too_large" Invalid "The body is larger than allowed.";
    UnsupportedMediaType "unsupported_media_type" Invalid "The body is not application/json.";
    SqlNotReadOnly "sql_not_read_only" Refused "The SQL would change something.";
    MoreThanOneStatement "more_than_one_statement" Refused "Only one statement may run.";
    NotASelect "not_a_select" Refused "Only SELECT may run.";
    UnknownTable "unknown_table" Refused "The SQL names a table that the actor cannot see.";
    UnknownColumn "unknown_column" Refused "The SQL names a column that the actor cannot see.";
    FunctionNotAllowed "function_not_allowed" Refused "The SQL calls a function outside the allow-list.";
    NameShadowsTable "name_shadows_table" Refused "A common table expression has the name of a table.";
    DoubleQuotedString "double_quoted_string" Refused "A string literal is written in double quotes.";
    SqlTooComplex "sql_too_complex" Refused "The SQL is too long or too deeply nested.";
    TooUncertain "too_uncertain" Refused "The question may mean several things, or the model is not sure enough.";
    CannotBeAnswered "cannot_be_answered" Refused "The question cannot be answered from this data.";
    Cancelled "cancelled" Refused "The question was cancelled.";
    ResultTooLarge "result_too_large" Refused "The result has more bytes than allowed.";
    RateLimited "rate_limited" TooMany "Too many requests.";
    GeneratorBusy "generator_busy" TooMany "The model's queue is full.";
    Internal "internal" Internal "Something went wrong on our side.";
    AuditTampered "audit_tampered" Internal "The audit trail does not fit its seals.";
    MailFailed "mail_failed" Upstream "The letter could not be handed to the mail server.";
    GeneratorFailed "generator_failed" Upstream "The language model failed.";
    GeneratorGaveNoSql "generator_gave_no_sql" Upstream "The language model's reply holds no SQL.";
    EmbedderFailed "embedder_failed" Upstream "The embedding model failed.";
    ModelMissing "model_missing" Unavailable "No language model is installed.";
    SystemStoreDown "system_store_down" Unavailable "The system store cannot be reached.";
    SystemStoreMismatch "system_store_mismatch" Unavailable "The system store was made by another version of the program.";
    BackupFailed "backup_failed" Unavailable "The backup could not be made, read or restored.";
    VectorStoreDown "vector_store_down" Unavailable "The vector store cannot be reached.";
    CacheDown "cache_down" Unavailable "The cache or job queue cannot be reached.";
    TargetDisabled "target_disabled" Unavailable "Assay runs without a target database.";
    TargetDatabaseDown "target_database_down" Unavailable "The target database cannot be read.";
    GoldenCopyMismatch "golden_copy_mismatch" Unavailable "The working copy does not agree with what was copied.";
    Interrupted "interrupted" Unavailable "The process that answered the question went away.";
    GeneratorTimeout "generator_timeout" Timeout "The language model took too long.";
    TargetQueryTimeout "target_query_timeout" Timeout "The SQL took too long.";
}

impl Code {
    /// Says whether one more generation, told of the fault, may mend it.
    pub fn is_repairable(self) -> bool {
        matches!(
            self,
            Code::InvalidSql
                | Code::UnknownTable
                | Code::UnknownColumn
                | Code::FunctionNotAllowed
                | Code::NameShadowsTable
                | Code::DoubleQuotedString
                | Code::GeneratorGaveNoSql
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_has_a_text_of_its_own() {
        let texts: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
    }
}
