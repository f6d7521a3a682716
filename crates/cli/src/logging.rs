//! Where log lines go: to standard error, as text or JSON, written by a thread of its own so that a slow reader of
//! the log never holds up a request. Lines are dropped rather than waited for when it falls far behind.

use std::io::{BufWriter, stderr};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt;

use crate::config::{Log, LogFormat};

/// Lines that wait for the writing thread before further ones are dropped.
const LINES_WAITING_MAX: usize = 16_384;

/// Starts logging for the whole process. The guard writes what waits when it is dropped.
pub(crate) fn start(log: &Log) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES_WAITING_MAX)
        .thread_name("ringfence-log")
        .finish(BufWriter::new(stderr()));
    let builder = fmt().with_max_level(log.level).with_writer(writer).with_target(false);
    match log.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => {
            builder.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
        }
    }
    guard
}
