//! What stands below a command's options in its help, as text that flows.
//!
//! In the source a paragraph is broken where a line of code ends. A terminal is narrower than that, so each of its lines would be
//! broken once more, a few words after its middle. Here the lines of a paragraph become one again, and clap breaks it where this
//! terminal ends.

use clap::Command;

/// A line that is shorter ends there because somebody meant it.
const BROKEN_FROM: usize = 80;

/// A command line whose help flows, that of each command in it too.
pub(crate) fn flowing(command: Command) -> Command {
    let text = command.get_after_help().map(ToString::to_string);
    let command = match text {
        Some(text) => command.after_help(joined(&text)),
        None => command,
    };
    let names: Vec<String> = command.get_subcommands().map(|under| under.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, flowing))
}

/// The text with each paragraph in one line. Examples and tables, which are indented, and points of a list stay as they are.
fn joined(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut may_go_on = false;
    for line in text.lines() {
        if may_go_on && is_plain(line) {
            joined.push(' ');
        } else if !joined.is_empty() {
            joined.push('\n');
        }
        joined.push_str(line);
        may_go_on = (is_plain(line) || begins_a_point(line)) && line.chars().count() >= BROKEN_FROM;
    }
    joined
}

/// Whether a line may be the middle of a paragraph.
fn is_plain(line: &str) -> bool {
    !line.is_empty() && !line.starts_with(char::is_whitespace) && !begins_a_point(line)
}

/// `1. Twilio makes another key`, `- one more`.
fn begins_a_point(line: &str) -> bool {
    let after_digits = line.trim_start_matches(|first: char| first.is_ascii_digit());
    line.starts_with("- ") || (after_digits.len() < line.len() && after_digits.starts_with(". "))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::CommandLine;

    #[test]
    fn a_paragraph_is_one_line_and_what_is_meant_to_stand_alone_stays() {
        let long = "word ".repeat(20);
        let text = format!(
            "{long}\nand its end.\n\nExamples:\n  {long}\n  ringfence demo\n\n1. {long}\nends.\n2. two\nExit codes: 0 fine"
        );
        let expected = format!(
            "{long} and its end.\n\nExamples:\n  {long}\n  ringfence demo\n\n1. {long} ends.\n2. two\nExit codes: 0 fine"
        );
        assert_eq!(joined(&text), expected);
        assert_eq!(joined(""), "");
    }

    #[test]
    fn no_help_of_any_command_has_a_paragraph_that_the_source_has_broken() {
        fn look(command: &Command) -> usize {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            for pair in lines.windows(2) {
                let is_broken =
                    is_plain(pair[0]) && pair[0].chars().count() >= BROKEN_FROM && is_plain(pair[1]);
                assert!(!is_broken, "{}: {pair:?}", command.get_name());
            }
            usize::from(!text.is_empty()) + command.get_subcommands().map(look).sum::<usize>()
        }
        assert!(look(&flowing(CommandLine::command())) > 20, "they are there still");
    }
}
