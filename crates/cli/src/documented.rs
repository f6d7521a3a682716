//! What the documentation tells people to type is what this program understands.
//!
//! Commands in blocks of shell are parsed by the real definition, values included. Commands inside a sentence are often cut
//! short (`ringfence limits plan`), so of them only the subcommands and flags must exist.

use std::path::{Path, PathBuf};

use clap::{Command as Definition, CommandFactory as _, Parser as _, error::ErrorKind};

use super::{CommandLine, EXAMPLES};

#[test]
fn a_command_that_does_not_parse_is_found() {
    let wrong = |text: &str| wrong_commands(&format!("```sh\n{text}\n```\n")).len();
    assert_eq!(wrong("ringfence statsu --config ringfence.toml"), 1, "no such subcommand");
    assert_eq!(wrong("ringfence status --confg ringfence.toml"), 1, "no such flag");
    assert_eq!(wrong("ringfence serve"), 1, "a needed flag is missing");
    assert_eq!(wrong("cargo run --release -- demo --forever"), 1, "through cargo");
    assert_eq!(wrong("sudo -u ringfence /usr/bin/ringfence serv --config x && true"), 1, "by another name");
    assert_eq!(wrong("podman run --rm ringfence serv --config x"), 1, "an image's arguments");
    assert_eq!(
        wrong("kubectl exec deploy/ringfence -- /usr/bin/ringfence status --confg x"),
        1,
        "in a container"
    );
    assert_eq!(wrong("kubectl rollout restart deploy/ringfence"), 0, "not ours");
    assert_eq!(wrong("echo one | ringfence verify --wrong \\\n  --vectors x.jsonl"), 1, "behind a pipe");
    assert_eq!(wrong("ringfence trip \"fifty a day\" --reason 'a # b' --config x   # stops it"), 0);
    assert_eq!(wrong_in_sentences("`ringfence limits plam` or `ringfence check --offlin`").len(), 2);
    assert_eq!(wrong_in_sentences("`ringfence limits plan` or `ringfence reset \"a b\" --allow 5`").len(), 0);
}

#[test]
fn every_command_of_the_documentation_parses() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page is a text");
        seen += shell_lines(&text).iter().flat_map(|line| ours(line)).count();
        let found = wrong_commands(&text).into_iter().chain(wrong_in_sentences(&text));
        wrong.extend(found.map(|problem| format!("{}: {problem}", page.display())));
    }
    assert!(seen > 40, "the commands of the documentation were not found: {seen}");
    assert!(wrong.is_empty(), "commands that do not run:\n{}", wrong.join("\n"));
}

#[test]
fn every_command_of_the_help_parses() {
    let lines: Vec<_> = EXAMPLES.lines().filter(|line| line.starts_with("  ringfence ")).collect();
    assert!(lines.len() > 8, "only {} commands", lines.len());
    let lines = lines.join("\n");
    assert_eq!(wrong_commands(&format!("```sh\n{lines}\n```\n")), [] as [String; 0]);
}

/// The pages for people: what lies in the root, in `docs` and beside examples.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = [root.clone(), root.join("docs"), root.join("examples/flask"), root.join("packaging")];
    let entries =
        folders.iter().flat_map(|folder| std::fs::read_dir(folder).expect("a folder of the repository"));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut pages: Vec<_> = paths.filter(|path| path.extension().is_some_and(|it| it == "md")).collect();
    pages.sort();
    pages
}

/// One sentence for each command of ours in a block of shell that is not understood.
fn wrong_commands(page: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for line in shell_lines(page) {
        for arguments in ours(&line) {
            let typed = std::iter::once("ringfence").chain(arguments.iter().map(String::as_str));
            let Err(error) = CommandLine::try_parse_from(typed) else { continue };
            if !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
                let why = error.to_string().lines().next().unwrap_or_default().to_owned();
                wrong.push(format!("`{line}`: {why}"));
            }
        }
    }
    wrong
}

/// One sentence for each command of ours in inline code that names a subcommand or a flag that there is not.
fn wrong_in_sentences(page: &str) -> Vec<String> {
    let mut definition = CommandLine::command();
    definition.build();
    let mut wrong = Vec::new();
    for code in inline_code(page).iter().filter(|code| code.starts_with("ringfence ")) {
        for arguments in ours(code) {
            if let Some(problem) = unknown_part(&definition, &arguments) {
                wrong.push(format!("`{code}`: {problem}"));
            }
        }
    }
    wrong
}

/// The first subcommand or flag that the definition lacks.
fn unknown_part(definition: &Definition, arguments: &[String]) -> Option<String> {
    let mut at = definition;
    let mut positional = 0;
    for argument in arguments {
        let name = argument.split('=').next().unwrap_or_default();
        if let Some(flag) = name.strip_prefix("--").filter(|flag| !flag.is_empty()) {
            let known = at.get_arguments().any(|it| it.get_long() == Some(flag));
            if !known {
                return Some(format!("no --{flag}"));
            }
        } else if let Some(inner) = at.find_subcommand(argument) {
            at = inner;
        } else if at.has_subcommands()
            && positional == 0
            && argument.chars().all(|it| it.is_ascii_lowercase())
        {
            return Some(format!("no subcommand {argument}"));
        } else {
            positional += 1;
        }
    }
    None
}

/// The lines of a page's shell blocks, with continued ones joined.
fn shell_lines(page: &str) -> Vec<String> {
    let (mut lines, mut block): (Vec<String>, _) = (Vec::new(), None);
    for line in page.lines() {
        let trimmed = line.trim_start();
        if let Some(language) = trimmed.strip_prefix("```") {
            block = if block.is_some() { None } else { Some(language.to_owned()) };
        } else if matches!(block.as_deref(), Some("sh" | "bash" | "console")) {
            match lines.last_mut() {
                Some(before) if before.ends_with('\\') => {
                    before.pop();
                    before.push_str(trimmed);
                }
                _ => lines.push(trimmed.to_owned()),
            }
        }
    }
    lines
}

/// What stands between single backquotes outside of blocks; a piece that goes over a line's end is one piece.
fn inline_code(page: &str) -> Vec<String> {
    let mut prose = String::new();
    let mut fenced = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push_str(line.trim());
            prose.push(if line.trim().is_empty() { '\n' } else { ' ' });
        }
    }
    prose.lines().flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The arguments of each command of ours in a line of shell.
fn ours(line: &str) -> Vec<Vec<String>> {
    simple_commands(line).into_iter().filter_map(|words| our_arguments(&words)).collect()
}

/// What follows the program's name, if this command runs our program: by itself, by another's hand, or through cargo.
fn our_arguments(words: &[String]) -> Option<Vec<String>> {
    let is_assignment = |word: &&String| word.split_once('=').is_some_and(|(name, _)| is_name(name));
    let words: Vec<_> = words.iter().skip_while(is_assignment).cloned().collect();
    let (first, rest) = words.split_first()?;
    match base_name(first) {
        "ringfence" | "ringfence.next" => Some(rest.to_vec()),
        "cargo" if rest.first().is_some_and(|it| it == "run") => {
            let at = rest.iter().position(|it| it == "--")?;
            let elsewhere = rest[..at].iter().any(|it| it == "-p" || it.starts_with("--example"));
            (!elsewhere).then(|| rest[at + 1..].to_vec())
        }
        "sudo" => {
            let options = rest.iter().take_while(|it| it.starts_with('-')).count();
            // `-u USER` has a value; other options that have one are not used here.
            let at = if rest.first().is_some_and(|it| it == "-u") { 2 } else { options };
            our_arguments(rest.get(at..)?)
        }
        // In a container: after the image's name, or by the program's path.
        "docker" | "podman" | "kubectl" => {
            let runs = rest.iter().any(|it| it == "run");
            let at =
                rest.iter().rposition(|it| it.ends_with("/bin/ringfence") || (runs && it == "ringfence"))?;
            Some(rest[at + 1..].to_vec()).filter(|arguments| !arguments.is_empty())
        }
        _ => None,
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == '_')
}

/// The words of each simple command of a line, as a shell splits them; redirections and comments are left out.
fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut skip_word = false;
    let mut chars = line.chars().peekable();
    let end_word = |word: &mut Option<String>, commands: &mut Vec<Vec<String>>, skip: &mut bool| {
        if let Some(word) = word.take()
            && !std::mem::take(skip)
        {
            commands.last_mut().expect("there is always one").push(word);
        }
    };
    while let Some(char) = chars.next() {
        match char {
            ' ' | '\t' => end_word(&mut word, &mut commands, &mut skip_word),
            '#' if word.is_none() => break,
            '|' | '&' | ';' | '(' | ')' => {
                end_word(&mut word, &mut commands, &mut skip_word);
                commands.push(Vec::new());
            }
            '>' | '<' => {
                // `2>` and `>>` belong to the redirection; so does the word that follows.
                if word.as_deref().is_some_and(|word| word.chars().all(|it| it.is_ascii_digit())) {
                    word = None;
                }
                end_word(&mut word, &mut commands, &mut skip_word);
                while chars.next_if(|it| matches!(it, '>' | '<' | '&')).is_some() {}
                skip_word = true;
            }
            '\'' | '"' => {
                let text = word.get_or_insert_default();
                text.extend(chars.by_ref().take_while(|it| *it != char));
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            other => word.get_or_insert_default().push(other),
        }
    }
    end_word(&mut word, &mut commands, &mut skip_word);
    commands
}
