//! Where traces go. The names and meanings of the variables are OpenTelemetry's own.
//!
//! Source: OpenTelemetry specification, "Environment Variable Specification" and "OTLP Exporter Configuration".

use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use super::env_vars::EnvVars;
use super::faults::{Faults, given};

/// The variables, as flags too.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TraceVars {
    /// Base URL of a collector that takes traces over OTLP/HTTP; no traces without one.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        global = true,
        hide_short_help = true
    )]
    pub otel_exporter_otlp_endpoint: Option<String>,

    /// Headers of every export, as `name=value,name=value`; also as OTEL_EXPORTER_OTLP_HEADERS_FILE.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_HEADERS",
        global = true,
        hide_short_help = true,
        hide_env_values = true
    )]
    pub otel_exporter_otlp_headers: Option<String>,

    /// File that holds OTEL_EXPORTER_OTLP_HEADERS.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_HEADERS_FILE",
        global = true,
        hide = true
    )]
    pub otel_exporter_otlp_headers_file: Option<String>,

    /// Milliseconds that one export may take; 10000.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_TIMEOUT",
        global = true,
        hide_short_help = true
    )]
    pub otel_exporter_otlp_timeout: Option<String>,

    /// Name of the service in traces; `assay`.
    #[arg(long, env = "OTEL_SERVICE_NAME", global = true, hide_short_help = true)]
    pub otel_service_name: Option<String>,

    /// What every trace says of this process, as `key=value,key=value`.
    #[arg(
        long,
        env = "OTEL_RESOURCE_ATTRIBUTES",
        global = true,
        hide_short_help = true
    )]
    pub otel_resource_attributes: Option<String>,

    /// Which requests are traced: `parentbased_always_on` and the standard's other names.
    #[arg(
        long,
        env = "OTEL_TRACES_SAMPLER",
        global = true,
        hide_short_help = true
    )]
    pub otel_traces_sampler: Option<String>,

    /// Share of the requests that a sampler by ratio takes, 0 to 1; 1.
    #[arg(
        long,
        env = "OTEL_TRACES_SAMPLER_ARG",
        global = true,
        hide_short_help = true
    )]
    pub otel_traces_sampler_arg: Option<String>,

    /// `true`: no traces, whatever else is set.
    #[arg(long, env = "OTEL_SDK_DISABLED", global = true, hide_short_help = true)]
    pub otel_sdk_disabled: Option<String>,
}

/// Where traces go, and which.
#[derive(Clone, PartialEq)]
pub struct TraceSettings {
    /// The URL that exports are posted to.
    pub url: String,
    /// Headers of every export; they may hold keys.
    pub headers: Vec<(String, String)>,
    /// Wall-clock time of one export, repetitions included.
    pub timeout: Duration,
    /// The service's name.
    pub service_name: String,
    /// What else is said of this process.
    pub attributes: Vec<(String, String)>,
    /// Which requests are traced.
    pub sampler: TraceSampler,
}

/// Which requests are traced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TraceSampler {
    /// The share of them, from 0 to 1.
    pub ratio: f64,
    /// A request that came with a `traceparent` does as that says.
    pub follows_parent: bool,
}

/// Headers and what may stand in a URL are never printed.
impl std::fmt::Debug for TraceSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (service, sampler) = (&self.service_name, self.sampler);
        write!(f, "traces of {service}, {sampler:?}")
    }
}

/// Returns `None` where nothing is to be traced.
pub(super) fn read(vars: &EnvVars, faults: &mut Faults) -> Option<TraceSettings> {
    let vars = &vars.traces;
    let is_disabled = faults
        .switch("OTEL_SDK_DISABLED", vars.otel_sdk_disabled.as_ref())
        .unwrap_or_default();
    let url = url(given(vars.otel_exporter_otlp_endpoint.as_ref())?, faults);
    let headers = faults.secret(
        "OTEL_EXPORTER_OTLP_HEADERS",
        vars.otel_exporter_otlp_headers.as_ref(),
        vars.otel_exporter_otlp_headers_file.as_ref(),
    );
    let timeout = faults.number(
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        vars.otel_exporter_otlp_timeout.as_ref(),
        10_000,
        1..=600_000,
    );
    let mut attributes = pairs(
        "OTEL_RESOURCE_ATTRIBUTES",
        given(vars.otel_resource_attributes.as_ref()),
        faults,
    );
    let named = attributes.iter().position(|(key, _)| key == "service.name");
    let named = named.map(|at| attributes.remove(at).1);
    let settings = TraceSettings {
        url,
        headers: checked_headers(headers.as_deref(), faults),
        timeout: Duration::from_millis(timeout),
        service_name: given(vars.otel_service_name.as_ref())
            .map(str::to_owned)
            .or(named)
            .unwrap_or_else(|| "assay".into()),
        attributes,
        sampler: sampler(vars, faults),
    };
    (!is_disabled).then_some(settings)
}

/// Returns the URL for traces below the base URL. It may hold a password, so no fault repeats it.
fn url(base: &str, faults: &mut Faults) -> String {
    let url = Url::parse(&format!("{}/v1/traces", base.trim_end_matches('/')));
    match url {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url.into(),
        _ => {
            faults.add(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "it is not a URL such as http://localhost:4318",
            );
            String::new()
        }
    }
}

fn checked_headers(text: Option<&str>, faults: &mut Faults) -> Vec<(String, String)> {
    let variable = "OTEL_EXPORTER_OTLP_HEADERS";
    let headers = pairs(variable, text, faults);
    let are_right = headers.iter().all(|(name, value)| {
        name.parse::<HeaderName>().is_ok() && HeaderValue::from_str(value).is_ok()
    });
    if !are_right {
        faults.add(variable, "a name or value is not fit for a header");
    }
    headers
}

/// Parses `key=value,key=value`, whose values are percent-encoded. A fault does not repeat what may be secret.
fn pairs(variable: &'static str, text: Option<&str>, faults: &mut Faults) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for pair in text.unwrap_or_default().split(',').map(str::trim) {
        if pair.is_empty() {
            continue;
        }
        let parsed = pair
            .split_once('=')
            .map(|(key, value)| (key.trim(), percent_decoded(value.trim())));
        match parsed {
            Some((key, Some(value))) if !key.is_empty() => pairs.push((key.to_owned(), value)),
            _ => faults.add(variable, "it is not of the form key=value,key=value"),
        }
    }
    pairs
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

fn sampler(vars: &TraceVars, faults: &mut Faults) -> TraceSampler {
    let ratio = given(vars.otel_traces_sampler_arg.as_ref()).map_or(1.0, |text| {
        let ratio = text
            .parse()
            .ok()
            .filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.unwrap_or_else(|| {
            let message = format!("`{text}` is not a number from 0 to 1");
            faults.add("OTEL_TRACES_SAMPLER_ARG", message);
            1.0
        })
    });
    let name = given(vars.otel_traces_sampler.as_ref()).unwrap_or("parentbased_always_on");
    let own = name.strip_prefix("parentbased_");
    let ratio = match own.unwrap_or(name) {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => ratio,
        _ => {
            faults.add(
                "OTEL_TRACES_SAMPLER",
                format!(
                    "`{name}` is not `always_on`, `always_off` or `traceidratio`, or one of them after `parentbased_`"
                ),
            );
            1.0
        }
    };
    TraceSampler {
        ratio,
        follows_parent: own.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_with(
        change: impl FnOnce(&mut TraceVars),
    ) -> (Option<TraceSettings>, Vec<&'static str>) {
        let mut vars = EnvVars::default();
        change(&mut vars.traces);
        let mut faults = Faults::default();
        let settings = read(&vars, &mut faults);
        let faults = faults.0.iter().map(|fault| fault.variable).collect();
        (settings, faults)
    }

    #[test]
    fn nothing_is_traced_without_a_collector_or_when_switched_off() {
        assert_eq!(read_with(|_| ()), (None, vec![]));
        let off = read_with(|vars| {
            vars.otel_exporter_otlp_endpoint = Some("http://localhost:4318".into());
            vars.otel_sdk_disabled = Some("true".into());
        });
        assert_eq!(off, (None, vec![]));
    }

    #[test]
    fn the_standard_variables_are_read_and_no_header_is_printed() {
        let (settings, faults) = read_with(|vars| {
            vars.otel_exporter_otlp_endpoint = Some("https://collector.example.org/otlp/".into());
            vars.otel_exporter_otlp_headers = Some("api-key=sesame%3D, x-tenant=blue".into());
            vars.otel_exporter_otlp_timeout = Some("2500".into());
            vars.otel_resource_attributes =
                Some("service.name=other,deployment.environment=pre%20production".into());
            vars.otel_traces_sampler = Some("parentbased_traceidratio".into());
            vars.otel_traces_sampler_arg = Some("0.25".into());
        });
        assert_eq!(faults, [] as [&str; 0]);
        let settings = settings.unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert!(!format!("{settings:?}").contains("sesame"));
        let expected = TraceSettings {
            url: "https://collector.example.org/otlp/v1/traces".into(),
            headers: vec![pair("api-key", "sesame="), pair("x-tenant", "blue")],
            timeout: Duration::from_millis(2_500),
            service_name: "other".into(),
            attributes: vec![pair("deployment.environment", "pre production")],
            sampler: TraceSampler {
                ratio: 0.25,
                follows_parent: true,
            },
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn every_fault_has_its_variable_and_repeats_no_secret() {
        let traces = TraceVars {
            otel_exporter_otlp_endpoint: Some("user:sesame@collector".into()),
            otel_exporter_otlp_headers: Some("sesame".into()),
            otel_exporter_otlp_timeout: Some("soon".into()),
            otel_resource_attributes: Some("key=%zz".into()),
            otel_traces_sampler: Some("jaeger_remote".into()),
            otel_traces_sampler_arg: Some("2".into()),
            otel_sdk_disabled: Some("perhaps".into()),
            ..TraceVars::default()
        };
        let vars = EnvVars {
            traces,
            ..EnvVars::default()
        };
        let mut faults = Faults::default();
        read(&vars, &mut faults);
        let mut names: Vec<_> = faults.0.iter().map(|fault| fault.variable).collect();
        names.sort_unstable();
        let expected = [
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_HEADERS",
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            "OTEL_RESOURCE_ATTRIBUTES",
            "OTEL_SDK_DISABLED",
            "OTEL_TRACES_SAMPLER",
            "OTEL_TRACES_SAMPLER_ARG",
        ];
        assert_eq!(names, expected);
        assert!(
            faults
                .0
                .iter()
                .all(|fault| !fault.message.contains("sesame"))
        );
    }
}
