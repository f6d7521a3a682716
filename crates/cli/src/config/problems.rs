//! What is wrong with a configuration, collected: the operator mends everything in one go.
//!
//! A problem stops the start; a warning is printed and lived with. Both name the line. Neither ever holds
//! the value of a secret.

use std::fmt;
use std::path::{Path, PathBuf};

/// Everything that is wrong with a configuration file: at least one problem, in the order of the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigError {
    file: PathBuf,
    problems: Vec<Problem>,
    /// There is no such file: whoever is told so may write one.
    pub(super) is_missing: bool,
}

/// One thing that is wrong, or that deserves a second look.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    line: Option<usize>,
    text: String,
}

/// Collects problems and warnings while a file is read.
pub(super) struct Problems {
    /// Where each line ends, so that a file of many routes and many problems is read in one go.
    line_ends: Vec<usize>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Problems {
    pub(super) fn new(source: &str) -> Self {
        let line_ends = source.match_indices('\n').map(|(offset, _)| offset).collect();
        Self { line_ends, errors: Vec::new(), warnings: Vec::new() }
    }

    /// Notes a problem at a byte offset of the file.
    pub(super) fn error(&mut self, offset: usize, text: impl Into<String>) {
        let problem = self.problem(offset, text.into());
        self.errors.push(problem);
    }

    /// Notes a problem of the file as a whole.
    pub(super) fn error_of_file(&mut self, text: impl Into<String>) {
        self.errors.push(Problem { line: None, text: text.into() });
    }

    /// Notes something that works and deserves a second look.
    pub(super) fn warning(&mut self, offset: usize, text: impl Into<String>) {
        let problem = self.problem(offset, text.into());
        self.warnings.push(problem);
    }

    /// How many errors there are so far: a caller can tell whether a part of the file was sound.
    pub(super) fn errors_len(&self) -> usize {
        self.errors.len()
    }

    /// The warnings, if nothing was wrong.
    pub(super) fn finish(mut self, file: &Path) -> Result<Vec<Problem>, ConfigError> {
        if self.errors.is_empty() {
            self.warnings.sort();
            return Ok(self.warnings);
        }
        Err(ConfigError::new(file, self.errors))
    }

    /// The line, counted from 1, that a byte offset is on.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.line_ends.partition_point(|end| *end < offset) + 1
    }

    fn problem(&self, offset: usize, text: String) -> Problem {
        Problem { line: Some(self.line(offset)), text }
    }
}

impl ConfigError {
    /// `problems` holds at least one.
    pub(super) fn new(file: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self { file: file.to_owned(), problems, is_missing: false }
    }

    /// A problem of the file as a whole.
    pub(crate) fn of_file(file: &Path, text: String) -> Self {
        Self::new(file, vec![Problem { line: None, text }])
    }

    /// A problem on a line that was read without one.
    pub(crate) fn on_line(file: &Path, line: usize, text: String) -> Self {
        Self::new(file, vec![Problem { line: Some(line), text }])
    }

    /// The file that was read.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Whether there is no such file.
    pub(crate) fn is_missing(&self) -> bool {
        self.is_missing
    }

    /// What is wrong, in the order of the lines.
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl Problem {
    /// What deserves a second look on a line, counted from 1, beside what the file itself shows.
    pub(crate) fn on_line(line: usize, text: String) -> Self {
        Self { line: Some(line), text }
    }

    /// Counted from 1; `None` where the file as a whole is meant.
    pub(crate) fn line(&self) -> Option<usize> {
        self.line
    }

    /// Names the key, what is wrong with it, and the accepted form.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// `FILE:LINE: TEXT`, the form that editors jump to.
    pub(crate) fn in_file(&self, file: &Path) -> String {
        match self.line {
            Some(line) => format!("{}:{line}: {}", file.display(), self.text),
            None => format!("{}: {}", file.display(), self.text),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                formatter.write_str("\n")?;
            }
            formatter.write_str(&problem.in_file(&self.file))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
