//! The pages of the configuration: the example and the documentation are right and tell all of it.

use std::fmt::Write as _;

use ringfence_breaker::Scope;

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

#[test]
fn every_block_of_configuration_in_the_documentation_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let entries =
        [root.clone(), root.join("docs")].map(|folder| std::fs::read_dir(folder).expect("a folder"));
    let paths = entries.into_iter().flatten().map(|entry| entry.expect("an entry").path());
    let mut seen = 0;
    for page in paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        for block in toml_blocks(&std::fs::read_to_string(&page).expect("a page is a text")) {
            let text = completed(&block);
            if let Err(error) = of_documentation(&text) {
                panic!(
                    "{}: {error}\nin this block, completed with what it leaves out:\n{text}",
                    page.display()
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 10, "the blocks were not found: {seen}");
}

#[test]
fn every_mail_server_that_the_documentation_names_can_be_written_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let entries =
        [root.clone(), root.join("docs")].map(|folder| std::fs::read_dir(folder).expect("a folder"));
    let paths = entries.into_iter().flatten().map(|entry| entry.expect("an entry").path());
    let mut seen = 0;
    for page in paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = std::fs::read_to_string(&page).expect("a page is a text");
        let ends = |char: char| char.is_whitespace() || matches!(char, '`' | '"' | ',' | ')' | '|');
        for url in text.split(ends).filter(|word| word.starts_with("smtp") && word.contains("://")) {
            seen += 1;
            // What stands for the reader's own.
            let url = url.replace("HOST", "mail.example.com");
            let read = notify::smtp_server(&url);
            assert!(read.is_ok(), "{}: {url}: {read:?}", page.display());
        }
    }
    assert!(seen > 5, "only {seen} were found");
}

#[test]
fn a_block_of_configuration_that_is_wrong_is_found() {
    for wrong in
        ["[listen]\nconsol = \"127.0.0.1:8400\"\n", "[[limit]]\nname = \"a\"\nscope = \"subaccounts\"\n"]
    {
        assert!(read(&completed(wrong)).is_err(), "{wrong}");
    }
    assert!(read(&completed("[[route]]\npath = \"/a/\"\n# …\ntwiml = \"limits\"\n")).is_ok());
}

#[test]
fn the_configurations_of_compose_and_kubernetes_are_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read_file = |path: &str| std::fs::read_to_string(root.join(path)).expect(path);
    let manifest = read_file("packaging/kubernetes.yaml");
    let (_, inside) =
        manifest.split_once("  ringfence.toml: |\n").expect("the ConfigMap has the configuration");
    let in_map: String =
        inside.lines().take_while(|line| *line != "---").flat_map(|line| [line.trim_start(), "\n"]).collect();
    for text in [in_map, read_file("packaging/container/ringfence.toml")] {
        assert!(text.contains("[[route]]"), "{text}");
        let loaded = of_documentation(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(loaded.settings.listen.admin.is_some(), "probes ask the admin listener");
    }
}

#[test]
fn no_configuration_that_is_shown_leaves_the_parent_without_a_limit() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read_file = |path: &str| std::fs::read_to_string(root.join(path)).expect(path);
    let of_pages = ["README.md", "docs/quick-start.md", "docs/limits.md"].map(read_file);
    let blocks = of_pages.iter().flat_map(|page| toml_blocks(page)).map(|block| completed(&block));
    let mut seen = 0;
    for text in blocks.chain([read_file("packaging/container/ringfence.toml")]) {
        let limits = of_documentation(&text).unwrap_or_else(|error| panic!("{error}\n{text}")).control.limits;
        let holds = |scopes: &[Scope]| limits.iter().any(|limit| scopes.contains(&limit.scope));
        if holds(&[Scope::Subaccounts]) {
            seen += 1;
            assert!(holds(&[Scope::Parent, Scope::All]), "`doctor` calls that critical:\n{text}");
        }
    }
    assert_eq!(seen, 4);
}

/// What a text of the documentation means. Secrets come from the environment, since the reader's files are not on this
/// machine.
fn of_documentation(text: &str) -> Result<Loaded, ConfigError> {
    const URL: &str = "postgres://ringfence:secret@db.example.com/ringfence?sslmode=verify-full";
    const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let env = |name: &str| Some(if name.contains("database_url") { URL } else { KEY }.to_owned());
    let around = Surroundings { folder: Path::new("/nowhere"), env: &env, now: SystemTime::UNIX_EPOCH };
    resolve(&text.replace("= { file = ", "= { env = "), Path::new("page.toml"), &around)
}

/// The blocks of TOML on a page, without the indentation of a list around them.
fn toml_blocks(page: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line.trim_start() {
            "```toml" => {
                inside = true;
                blocks.push(String::new());
            }
            "```" => inside = false,
            line if inside => blocks.last_mut().expect("a block is open").extend([line, "\n"]),
            _ => {}
        }
    }
    blocks
}

/// A piece of a configuration with what it leaves out: tables that others need, and keys that `# …` stands for.
fn completed(piece: &str) -> String {
    let mut text = piece.replace(
        "# …\n",
        "public_url = \"https://hooks.example.com\"\nupstream = \"http://127.0.0.1:3000\"\ncheck = \"signature\"\n",
    );
    let mut listen = String::from("[listen]\n");
    for (key, port) in [("gate", 8443), ("egress", 8500)] {
        if !text.lines().any(|line| line.starts_with(&format!("{key} = "))) {
            _ = writeln!(listen, "{key} = \"127.0.0.1:{port}\"");
        }
    }
    if text.contains("[listen]\n") {
        text = text.replace("[listen]\n", &listen);
    } else {
        text.insert_str(0, &listen);
    }
    let (_, rest) = ARMED.split_once("\n\n").expect("the sound file begins with [listen]");
    let tables = rest.split("\n\n").filter(|table| !table.starts_with("[[limit]]"));
    for table in tables {
        let heading = table.lines().next().expect("a table has a heading");
        if !text.lines().any(|line| line.starts_with(heading)) {
            _ = write!(text, "\n{table}\n");
        }
    }
    text
}
