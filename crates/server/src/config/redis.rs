//! The server that replicas share for the cache, rate limits and jobs.

use engine::Error;
use stores::redis::{RedisSettings, check_settings};

use super::env_vars::EnvVars;
use super::faults::{Faults, given};

/// Reads the settings; `None` when there is no such server and each process has its own.
pub(super) fn read(vars: &EnvVars, faults: &mut Faults) -> Option<RedisSettings> {
    let password = faults.secret(
        "REDIS_PASSWORD",
        vars.redis_password.as_ref(),
        vars.redis_password_file.as_ref(),
    );
    let settings = RedisSettings {
        password,
        ..RedisSettings::new(given(vars.redis_url.as_ref())?)
    };
    if let Err(fault) = check_settings(&settings) {
        faults.add("REDIS_URL", said(&fault));
    }
    Some(settings)
}

/// The address may hold a password, so it is not repeated.
fn said(fault: &Error) -> String {
    match fault.hint() {
        Some(hint) => format!("{fault}; {hint}"),
        None => fault.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_url(url: &str) -> (Option<RedisSettings>, Vec<String>) {
        let vars = EnvVars {
            redis_url: Some(url.into()),
            redis_password: Some("hidden".into()),
            ..EnvVars::default()
        };
        let mut faults = Faults::default();
        let settings = read(&vars, &mut faults);
        let messages = faults.0.into_iter().map(|fault| fault.message);
        (settings, messages.collect())
    }

    #[test]
    fn an_address_is_enough_and_the_password_may_stand_apart() {
        let (settings, faults) = read_url("redis://:other@redis:6379/0");
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(settings.unwrap().password.as_deref(), Some("hidden"));
        assert!(read_url("rediss://redis").1.is_empty());
        assert!(read_url(" ").0.is_none());
    }

    #[test]
    fn what_is_no_address_is_a_fault_that_does_not_repeat_it() {
        let (_, faults) = read_url("http://:hidden@redis");
        assert_eq!(faults.len(), 1);
        assert!(!faults[0].contains("hidden"), "{faults:?}");
    }
}
