//! `ringfence man`: the manual pages, from the help of the command line itself.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;

use crate::exit::{Answer, Failure};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringfence man | man -l -
  ringfence man --dir /usr/local/share/man/man1")]
pub(crate) struct Arguments {
    /// Write a page for each command into this folder, which is made if missing; without it one page is printed
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// `line` is the whole command line.
pub(crate) fn run(arguments: &Arguments, line: Command) -> Result<Answer, Failure> {
    let mut line = line.disable_help_subcommand(true);
    line.build();
    let Some(dir) = &arguments.dir else { return Ok(Answer::text(page(line)?.1)) };
    let cannot = |path: &Path, error: &std::io::Error| {
        Failure::unavailable(format!("cannot write {}: {error}", path.display()))
    };
    fs::create_dir_all(dir).map_err(|error| cannot(dir, &error))?;
    let mut text = String::new();
    for (name, page) in pages(line)? {
        let path = dir.join(name);
        fs::write(&path, page).map_err(|error| cannot(&path, &error))?;
        _ = writeln!(text, "{}", path.display());
    }
    Ok(Answer::text(text))
}

/// The page of a command and those of all commands under it.
fn pages(command: Command) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut all = Vec::new();
    for under in command.get_subcommands().filter(|under| !under.is_hide_set()) {
        all.extend(pages(under.clone())?);
    }
    all.push(page(command)?);
    Ok(all)
}

/// A page and its file: `ringfence-limits-plan.1`.
fn page(command: Command) -> Result<(String, Vec<u8>), Failure> {
    let man = Man::new(command).manual("Ringfence").source(concat!("ringfence ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    // What is written into memory cannot fail.
    man.render(&mut page).map_err(|error| Failure::unavailable(format!("cannot make the page: {error}")))?;
    // Formatters that read no UTF-8 know characters by their numbers (groff_char(7), mandoc_char(7)).
    let mut portable = String::with_capacity(page.len());
    for letter in String::from_utf8_lossy(&page).chars() {
        if letter.is_ascii() {
            portable.push(letter);
        } else {
            _ = write!(portable, "\\[u{:04X}]", u32::from(letter));
        }
    }
    Ok((man.get_filename(), portable.into_bytes()))
}
