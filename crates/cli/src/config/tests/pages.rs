//! The pages of the configuration: the example and the documentation are right and tell all of it.

use super::*;

#[test]
fn the_example_is_right_without_a_warning() {
    let loaded = read(EXAMPLE).expect("the example is right");
    assert_eq!(loaded.warnings, []);
}

#[test]
fn the_example_shows_every_key() {
    for section in SECTIONS {
        for key in section.keys {
            assert!(EXAMPLE.contains(&format!("{key} = ")) || EXAMPLE.contains(&format!(".{key}]")), "{key}");
        }
    }
}

#[test]
fn the_limits_of_the_example_are_the_defaults() {
    let lines = EXAMPLE.lines().skip_while(|line| !line.starts_with("# [limits]"));
    let lines = lines.take_while(|line| line.starts_with("# ")).map(|line| &line[2..]);
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    let loaded = read(&format!("{SOUND}\n{text}")).expect("the example's limits are right");
    assert_eq!(format!("{:?}", loaded.settings.limits), format!("{:?}", Limits::default()));
}

/// The example with all that comes after the gate in force.
pub(super) fn with_the_breaker() -> String {
    let (gate, breaker) = EXAMPLE.split_once("# [store]\n").expect("the part of the breaker");
    let gate = gate.replace("# subaccounts = true", "subaccounts = true");
    let breaker: String = breaker
        .lines()
        .flat_map(|line| [line.strip_prefix("# ").or(line.strip_prefix('#')).expect("a comment"), "\n"])
        .collect();
    format!("{gate}[store]\n{breaker}")
}

#[test]
fn the_example_s_circuit_breaker_is_right_without_a_warning_once_uncommented() {
    let loaded = read(&with_the_breaker()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.control.limits.len(), 2);
    let typed = &loaded.control.limits[0];
    let text = ARMED.replace("fifty", "fifty a day");
    assert_eq!(read(&text).expect("it is right").control.limits[0], *typed, "the example shows the defaults");
}

#[test]
fn the_documentation_tells_every_key_in_its_section() {
    let page = include_str!("../../../../../docs/configuration.md");
    for section in SECTIONS {
        let heading = format!("## `{}`", section.name);
        let Some((_, after)) = page.split_once(&heading) else { panic!("no heading {heading}") };
        let part = after.split("\n## ").next().unwrap_or(after);
        for key in section.keys {
            assert!(part.contains(&format!("| `{key}` |")), "{key} is not told under {heading}");
        }
    }
}

#[test]
fn the_configurations_of_the_documentation_are_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("docs/examples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            // The reader's secrets are not on this machine; where they come from is not what is asked here.
            let text = std::fs::read_to_string(&path).expect("a text").replace("{ file = ", "{ env = ");
            let env = |_: &str| Some("0123456789abcdef0123456789abcdef".to_owned());
            let around =
                Surroundings { folder: Path::new("/nowhere"), env: &env, now: SystemTime::UNIX_EPOCH };
            if let Err(error) = resolve(&text, &path, &around) {
                panic!("{error}");
            }
            seen += 1;
        }
    }
    assert!(seen > 0, "no example was found");
}
