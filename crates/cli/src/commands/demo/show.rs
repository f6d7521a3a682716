//! The tour as text: a line for each thing that is shown, with a mark, and how many were not as told.

use super::operator::Typed;
use crate::commands::paper::Paper;

/// What is told, and how much of it was not so.
pub(super) struct Show<'a> {
    pub(super) out: &'a mut Paper,
    pub(super) wrong: usize,
}

impl<'a> Show<'a> {
    pub(super) fn new(out: &'a mut Paper) -> Self {
        Self { out, wrong: 0 }
    }

    pub(super) fn line(&mut self, as_told: bool, what: &str, shown: &str) {
        self.wrong += usize::from(!as_told);
        let mark = if as_told { "ok " } else { "WRONG" };
        self.out.line(format!("  {mark} {what:<64} {shown}").trim_end());
    }

    /// What a person typed, and what was printed.
    pub(super) fn typed(&mut self, typed: &Typed) {
        self.wrong += usize::from(!typed.is_done);
        self.out.line(&format!("  $ {}", typed.line));
        for line in typed.output.lines() {
            self.out.line(format!("    {line}").trim_end());
        }
    }

    /// A quotation, with space around it.
    pub(super) fn quote<'t>(&mut self, lines: impl IntoIterator<Item = &'t str>) {
        self.out.line("");
        for line in lines {
            self.out.line(format!("      | {line}").trim_end());
        }
        self.out.line("");
    }
}
