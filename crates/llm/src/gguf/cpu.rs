//! What this processor can do: whether it runs the instructions that llama.cpp was compiled with, and how many threads
//! are worth using.

use std::collections::HashSet;
use std::fs;

use engine::{Code, Error};

/// The instruction sets beyond the AVX2 floor that llama.cpp was compiled with, as set in the environment of the build.
const BUILT_WITH_AVX512: bool = is_on(option_env!("GGML_AVX512"));
const BUILT_WITH_AVX512_VNNI: bool = is_on(option_env!("GGML_AVX512_VNNI"));
const BUILT_WITH_AVX512_VBMI: bool = is_on(option_env!("GGML_AVX512_VBMI"));

const fn is_on(value: Option<&str>) -> bool {
    matches!(value, Some(text) if matches!(text.as_bytes(), b"ON" | b"on" | b"1" | b"TRUE" | b"true" | b"YES" | b"yes"))
}

/// Names the instruction sets of the build; part of the key of every kept state.
pub(super) const BUILD: &str = if BUILT_WITH_AVX512 { "avx512" } else { "base" };

/// Checks that this processor has what llama.cpp was compiled for: the alternative is a death by SIGILL.
///
/// # Errors
///
/// [`Code::GeneratorFailed`] naming what is missing.
pub(super) fn check() -> Result<(), Error> {
    let missing = missing_instructions();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Code::GeneratorFailed,
        format!(
            "this processor lacks {}, which the local model was compiled for",
            missing.join(", ")
        ),
    )
    .with_hint("build Assay on this machine, or set LLM_PROVIDER to a remote model"))
}

#[cfg(target_arch = "x86_64")]
fn missing_instructions() -> Vec<&'static str> {
    use std::arch::is_x86_feature_detected as has;
    let mut needed = vec![
        ("SSE4.2", has!("sse4.2")),
        ("AVX2", has!("avx2")),
        ("FMA", has!("fma")),
        ("F16C", has!("f16c")),
        ("BMI2", has!("bmi2")),
    ];
    if BUILT_WITH_AVX512 {
        needed.extend([
            ("AVX-512 F", has!("avx512f")),
            ("AVX-512 CD", has!("avx512cd")),
            ("AVX-512 BW", has!("avx512bw")),
            ("AVX-512 DQ", has!("avx512dq")),
            ("AVX-512 VL", has!("avx512vl")),
        ]);
    }
    if BUILT_WITH_AVX512_VNNI {
        needed.push(("AVX-512 VNNI", has!("avx512vnni")));
    }
    if BUILT_WITH_AVX512_VBMI {
        needed.push(("AVX-512 VBMI", has!("avx512vbmi")));
    }
    needed
        .into_iter()
        .filter_map(|(name, is_there)| (!is_there).then_some(name))
        .collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn missing_instructions() -> Vec<&'static str> {
    Vec::new()
}

/// Returns the physical cores this process may use: a second thread on a core only slows matrix products down.
pub(super) fn physical_cores() -> u32 {
    let allowed = std::thread::available_parallelism().map_or(1, |count| count.get());
    let cores = core_groups().filter(|cores| *cores > 0).unwrap_or(allowed);
    u32::try_from(cores.min(allowed)).unwrap_or(1)
}

/// Counts the groups of sibling threads, where the system tells.
fn core_groups() -> Option<usize> {
    let mut groups = HashSet::new();
    for entry in fs::read_dir("/sys/devices/system/cpu").ok()?.flatten() {
        let siblings = entry.path().join("topology/thread_siblings_list");
        if let Ok(siblings) = fs::read_to_string(siblings) {
            groups.insert(siblings);
        }
    }
    Some(groups.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_between_one_and_the_threads_allowed() {
        let allowed = std::thread::available_parallelism().map_or(1, |count| count.get());
        assert!((1..=allowed).contains(&(physical_cores() as usize)));
    }

    #[test]
    fn build_switches_read_as_cmake_reads_them() {
        assert!(is_on(Some("ON")) && is_on(Some("1")));
        assert!(!is_on(None) && !is_on(Some("OFF")) && !is_on(Some("")));
    }
}
