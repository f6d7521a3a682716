//! `ringfence audit`: is the log whole, and what is in it?

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use ringfence_store::{ExportOf, Finding, Head, NewAudit, Verified};
use serde_json::{Value, json};

use super::over_api::{Api, Reach, ReachArguments};
use super::with_store::{self, Opened, StoreArguments, failure};
use crate::exit::{Answer, Failure};

/// Rows that are read and written at once.
const PAGE: usize = 1000;

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Was a row changed, removed or inserted since it was sealed?
    Verify(VerifyArguments),
    /// Print the sealed rows as lines of JSON, oldest first.
    Export(ExportArguments),
    /// Print the signed heads of the chain, one a line, to be kept elsewhere.
    Heads(HeadsArguments),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Heads that were kept are added to and never written over (`>>`): of a log that was cut short only they tell.

Example, from another machine every hour:
  last=$(tail -n 1 heads | cut -d ' ' -f 1)
  ssh ringfence ringfence audit heads --config /etc/ringfence.toml --after ${last:-0} >> heads")]
struct HeadsArguments {
    /// The configuration, whose [store] says where the store is
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only heads after this place in the chain, the first number of a line
    #[arg(long, value_name = "SEQ", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    after: i64,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "The exit code is 0 if the log is whole, and 1 if anything is wrong with it.")]
struct VerifyArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Heads of the chain that were kept elsewhere, one a line; they show whether its end was cut off
    #[arg(long, value_name = "FILE")]
    heads: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Rows that are not sealed yet are left out, so the next export after the last id misses none."
)]
struct ExportArguments {
    #[command(flatten)]
    reach: ReachArguments,
    /// Only rows after the one with this id; an export says at its end where the next one goes on
    #[arg(long, value_name = "ID", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    after: i64,
    /// With texts about people, which are not to be had over the API; what has left the store cannot be erased any more, and the log says that it did
    #[arg(long, conflicts_with = "api")]
    with_personal: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    match &arguments.command {
        Command::Verify(arguments) => verify(arguments),
        Command::Export(arguments) => match arguments.reach.reach()? {
            Reach::Store(file) => with_store::look(file, async |opened| export(arguments, opened).await),
            Reach::Node(api) => with_store::block_on(export_over_api(&api, arguments.after)),
        },
        Command::Heads(arguments) => {
            with_store::look(&arguments.config, async |opened| heads(arguments.after, opened).await)
        }
    }
}

/// All of them after a place, page by page.
async fn heads(mut after: i64, opened: &Opened) -> Result<Answer, Failure> {
    let mut output = String::new();
    loop {
        let heads = opened.store.audit_heads(after, PAGE).await.map_err(|error| failure(&error))?;
        for head in &heads {
            _ = writeln!(output, "{}", head.to_line().trim_end());
        }
        match heads.last() {
            Some(last) if heads.len() == PAGE => after = last.seq,
            _ => return Ok(Answer::text(output)),
        }
    }
}

fn verify(arguments: &VerifyArguments) -> Result<Answer, Failure> {
    let heads = arguments.heads.as_deref().map(read_heads).transpose()?;
    with_store::look(&arguments.store.config, async |opened| {
        let outside = heads.as_deref().unwrap_or_default();
        let verified = opened.store.verify_audit(outside).await.map_err(|error| failure(&error))?;
        let is_whole = verified.findings.is_empty();
        let output = if arguments.store.json { as_json(&verified) } else { as_text(&verified) };
        let mut answer = Answer { output: output.into_bytes(), is_no: !is_whole, ..Answer::default() };
        if is_whole && heads.is_none() {
            answer.notes.push(
                "note: without --heads, a log whose end was cut off together with its heads looks whole"
                    .to_owned(),
            );
        }
        Ok(answer)
    })
}

/// One head a line; empty lines do not count.
fn read_heads(path: &Path) -> Result<Vec<Head>, Failure> {
    let cannot = |error: io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(cannot)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let heads = lines.map(|(number, line)| {
        Head::parse_line(line).ok_or_else(|| {
            Failure::usage(format!("{}:{}: this is no head of the chain", path.display(), number + 1))
                .hint("a head is a line of `seq audit-id hash signed-at signature public-key`")
        })
    });
    let heads: Vec<_> = heads.collect::<Result<_, _>>()?;
    if heads.is_empty() {
        return Err(Failure::usage(format!("{} holds no head, so it proves nothing", path.display())));
    }
    Ok(heads)
}

fn as_text(verified: &Verified) -> String {
    let mut text = String::new();
    for finding in &verified.findings {
        _ = writeln!(text, "{finding}");
    }
    let judgement = match verified.findings.len() {
        0 => "the log is whole".to_owned(),
        1 => "the log is not whole: 1 finding".to_owned(),
        findings => format!("the log is not whole: {findings} findings"),
    };
    let Verified { rows, last_seq, unsealed, heads, .. } = verified;
    _ = writeln!(
        text,
        "{judgement}; {rows} sealed rows up to place {last_seq}, {heads} signed heads, {unsealed} rows not sealed yet"
    );
    text
}

fn as_json(verified: &Verified) -> String {
    let findings: Vec<_> = verified.findings.iter().map(finding_as_json).collect();
    let json = json!({
        "whole": verified.findings.is_empty(),
        "rows": verified.rows,
        "last_seq": verified.last_seq,
        "unsealed": verified.unsealed,
        "heads": verified.heads,
        "findings": findings,
    });
    format!("{json}\n")
}

fn finding_as_json(finding: &Finding) -> Value {
    let mut json = match finding {
        Finding::Changed { seq, audit_id } => json!({ "kind": "changed", "seq": seq, "id": audit_id }),
        Finding::Removed { seq, audit_id } => json!({ "kind": "removed", "seq": seq, "id": audit_id }),
        Finding::Inserted { audit_id } => json!({ "kind": "inserted", "id": audit_id }),
        Finding::Reordered { seq, audit_id } => json!({ "kind": "reordered", "seq": seq, "id": audit_id }),
        Finding::Gap { from, to } => json!({ "kind": "gap", "from": from, "to": to }),
        Finding::HeadDisagrees { seq } => json!({ "kind": "head-disagrees", "seq": seq }),
        Finding::Forged { seq } => json!({ "kind": "forged", "seq": seq }),
        Finding::Unsigned { seq } => json!({ "kind": "unsigned", "seq": seq }),
        Finding::More => json!({ "kind": "more" }),
    };
    json["text"] = finding.to_string().into();
    json
}

/// Prints page by page, since a log may be larger than this machine's memory.
async fn export(arguments: &ExportArguments, opened: &Opened) -> Result<Answer, Failure> {
    let store = &opened.store;
    let what = if arguments.with_personal {
        let audit = NewAudit::new("audit.export", "audit")
            .with(json!({ "after": arguments.after, "with_personal": true }));
        store.audit(&opened.by, audit, opened.now).await.map_err(|error| failure(&error))?;
        ExportOf::WithPersonal
    } else {
        ExportOf::WithoutPersonal
    };
    let (mut rows, mut last) = (0_usize, arguments.after);
    loop {
        let lines = store.export_audit(last, PAGE, what).await.map_err(|error| failure(&error))?;
        if !printed(&lines, last)? {
            return Ok(Answer::default());
        }
        rows += lines.len();
        if let Some(line) = lines.last() {
            last = id_of(line)?;
        }
        if lines.len() < PAGE {
            break;
        }
    }
    let note = format!("{rows} rows; go on with --after {last}");
    Ok(Answer { notes: vec![note], ..Answer::default() })
}

/// The same from a running node, in the same pages.
async fn export_over_api(api: &Api, after: i64) -> Result<Answer, Failure> {
    let (mut rows, mut last) = (0_usize, after);
    loop {
        let query = [("after", last.to_string()), ("page_size", PAGE.to_string())];
        let page = api.get_lines("/v1/audit/export", &query).await.map_err(|failure| match rows {
            0 => failure,
            _ => failure.hint(format!("go on with --after {last}")),
        })?;
        let text = str::from_utf8(&page)
            .map_err(|_| Failure::unavailable("the node gave a line that is no text; please report this"))?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if !printed(&lines, last)? {
            return Ok(Answer::default());
        }
        rows += lines.len();
        if let Some(line) = lines.last() {
            last = id_of(line)?;
        }
        if lines.len() < PAGE {
            break;
        }
    }
    Ok(Answer { notes: vec![format!("{rows} rows; go on with --after {last}")], ..Answer::default() })
}

/// Whether somebody still reads. What comes after `last` was to be printed.
fn printed(lines: &[String], last: i64) -> Result<bool, Failure> {
    match print(lines) {
        Ok(()) => Ok(true),
        // A reader that went away has what it wanted.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::unavailable(format!("cannot write to standard output: {error}"))
            .hint(format!("go on with --after {last}"))),
    }
}

fn print(lines: &[String]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for line in lines {
        writeln!(stdout, "{line}")?;
    }
    stdout.flush()
}

fn id_of(line: &str) -> Result<i64, Failure> {
    let row: Option<Value> = serde_json::from_str(line).ok();
    row.and_then(|row| row["id"].as_i64())
        .ok_or_else(|| Failure::unavailable("the store gave a line without an id; please report this"))
}
