//! `[log]`: what the process tells, and in which form. Never bodies, codes, tokens or whole phone numbers.

use tracing::Level;

use super::problems::Problems;
use super::raw::{Section, Table};

pub(super) const SECTION: Section = Section { name: "[log]", keys: &["format", "level"], later: &[] };

/// How and how much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Log {
    /// One line of text, or one JSON object a line.
    pub(crate) format: LogFormat,
    /// This level and the graver ones.
    pub(crate) level: Level,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: Level::INFO }
    }
}

pub(super) fn resolve(table: Option<Table<'_>>, problems: &mut Problems) -> Log {
    let mut log = Log::default();
    let Some(table) = table else { return log };
    if let Some(field) = table.find("format") {
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        log.format = field.choice(&formats, problems).unwrap_or(log.format);
    }
    if let Some(field) = table.find("level") {
        let levels = [
            ("error", Level::ERROR),
            ("warn", Level::WARN),
            ("info", Level::INFO),
            ("debug", Level::DEBUG),
            ("trace", Level::TRACE),
        ];
        log.level = field.choice(&levels, problems).unwrap_or(log.level);
    }
    log
}
