//! What must hold of any text at all that stands in a configuration file.
//!
//! Each law is one function that panics where it does not hold. The test below asks them with the seeds that fuzzing has found,
//! the fuzz target (`crates/cli/fuzz`) with whatever the fuzzer
//! comes upon. Neither is in a release.

use std::path::Path;
use std::time::SystemTime;

use super::{ConfigError, Loaded, Surroundings, resolve};

/// What the environment holds, which nobody must see.
const SECRET: &str = "5e1f00d5ec4e70a1b2c3d4e5f6a7b8c95e1f00d5ec4e70a1b2c3d4e5f6a7b8c9";

/// A text is a configuration or what is wrong with it: each problem on one line that exists, none with a secret in it, the
/// same each time; a comment at its end changes nothing.
pub(crate) fn text(text: &str) {
    // Devices never end or never begin, and what is in the kernel's files differs each time. Whoever writes the secret where
    // a network should stand, as the fuzzer does once it has seen it compared, has told it himself.
    if ["/dev", "/proc", "/sys", SECRET].iter().any(|no| text.contains(no)) {
        return;
    }
    let lines = text.split('\n').count();
    let read = read(text);
    let said: Vec<_> = match &read {
        Ok(loaded) => loaded.warnings.iter().collect(),
        Err(error) => {
            assert!(!error.problems().is_empty(), "refused without a word");
            error.problems().iter().collect()
        }
    };
    for problem in said {
        assert!(problem.line().is_none_or(|line| (1..=lines).contains(&line)), "{problem:?} of {lines}");
        assert!(!problem.text().trim().is_empty());
        assert!(!problem.text().contains(SECRET), "{problem:?}");
        assert!(!problem.text().contains(['\n', '\r', '\u{1b}']), "{problem:?}");
    }
    assert_eq!(told(&read), told(&self::read(text)), "the same text means two things");
    if let Ok(loaded) = &read {
        let shown = format!("{loaded:?}");
        assert!(!shown.contains(SECRET), "a secret can be printed");
        let commented = self::read(&format!("{text}\n# a comment"));
        assert_eq!(told(&commented), told(&read), "a comment changes what is meant");
    }
}

fn read(text: &str) -> Result<Loaded, ConfigError> {
    let env = |name: &str| match name {
        "TOKEN" => Some(SECRET.to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let around = Surroundings { folder: Path::new("/nowhere"), env: &env, now: SystemTime::UNIX_EPOCH };
    resolve(text, Path::new("ringfence.toml"), &around)
}

/// What people are told of it.
fn told(read: &Result<Loaded, ConfigError>) -> (bool, String) {
    match read {
        Ok(loaded) => (true, format!("{:?}", loaded.warnings)),
        Err(error) => (false, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use ringfence_testkit::each_seed;

    #[test]
    fn a_text_is_a_configuration_or_what_is_wrong_with_it_is_told() {
        each_seed(env!("CARGO_MANIFEST_DIR"), "configuration", super::text);
    }
}
