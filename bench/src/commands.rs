//! What there is to measure: one table that reads the command line and writes the usage, so that a word which no command knows
//! is told, and not taken for a run with what is usual.

use crate::arguments::Arguments;
use crate::{
    Outcome, admissions, bare_hyper, breaker, challenges, egress, gate, load, official, polling, pumping,
    sandbox, sign_in, simulate, startup, suspension, timing, upstream, verify, writes,
};
use std::fmt::Write as _;

/// One command.
pub(crate) struct Command {
    name: &'static str,
    about: &'static str,
    /// Each takes a value.
    options: &'static [&'static str],
    /// None takes one.
    switches: &'static [&'static str],
    pub(crate) run: fn(&Arguments) -> Outcome,
}

/// What a command line asks for.
pub(crate) enum Wanted {
    /// To be told what there is.
    Usage(String),
    /// A command, with what was said of it.
    Run(&'static Command, Arguments),
}

const COMMANDS: &[Command] = &[
    Command {
        name: "verify",
        about: "nanoseconds for one request, against the bare HMAC of the same bytes",
        options: &["rounds", "millis"],
        switches: &[],
        run: verify::run,
    },
    Command {
        name: "control",
        about: "the next four, one after another",
        options: &["rounds", "steps", "millis", "accounts", "far", "trips"],
        switches: &[],
        run: control,
    },
    Command {
        name: "breaker",
        about: "nanoseconds for one step of a breaker, by what it observes",
        options: &["rounds", "steps"],
        switches: &[],
        run: breaker::run,
    },
    Command {
        name: "writes",
        about: "the store's writes on SQLite and PostgreSQL, alone and together, against a bare INSERT",
        options: &["rounds", "millis"],
        switches: &[],
        run: writes::run,
    },
    Command {
        name: "polling",
        about: "requests to Twilio for a thousand subaccounts, and how long a round takes",
        options: &["accounts", "far"],
        switches: &[],
        run: polling::run,
    },
    Command {
        name: "suspension",
        about: "milliseconds from a usage trigger's webhook to the request that suspends",
        options: &["accounts", "trips"],
        switches: &[],
        run: suspension::run,
    },
    Command {
        name: "admissions",
        about: "the ledger's admissions a second, by one node and by three, and exactness at the last cent",
        options: &["rounds", "millis", "at-once"],
        switches: &[],
        run: admissions::run,
    },
    Command {
        name: "simulate",
        about: "the ledger under crashes, lost answers, jumping clocks and old backups, from a seed",
        options: &["seed", "seeds", "steps", "minutes", "only"],
        switches: &[],
        run: simulate::run,
    },
    Command {
        name: "challenges",
        about: "codes started and checked a second on SQLite and PostgreSQL, and that one is accepted and five are compared",
        options: &["challenges", "at-once", "rate", "right", "wrong"],
        switches: &[],
        run: challenges::run,
    },
    Command {
        name: "pumping",
        about: "a hundred thousand starts of codes by whoever earns from them: what goes out, and where to",
        options: &["starts", "hours", "seed"],
        switches: &[],
        run: pumping::run,
    },
    Command {
        name: "egress",
        about: "the egress beside nginx, before the same sandbox: latency and CPU time a message",
        options: &["ringfence", "rounds", "seconds", "warm-up", "connections"],
        switches: &[],
        run: egress::run,
    },
    Command {
        name: "sign-in",
        about: "the gate and the console's pages while strangers flood the sign-in page",
        options: &["ringfence", "rounds", "seconds"],
        switches: &[],
        run: sign_in::run,
    },
    Command {
        name: "timing",
        about: "whether sign-in, forgotten password and credentials tell by the clock who there is",
        options: &["samples", "seed"],
        switches: &[],
        run: timing::run,
    },
    Command {
        name: "official",
        about: "the same request in the official Node and Python libraries",
        options: &["rounds", "seconds", "python"],
        switches: &[],
        run: official::run,
    },
    Command {
        name: "gate",
        about: "proxies side by side: CPU time a request, latency, memory",
        options: &["rounds", "seconds", "warm-up", "connections", "only", "ringfence", "express", "extra"],
        switches: &["awake"],
        run: gate::run,
    },
    Command {
        name: "sandbox",
        about: "messages accepted, webhooks delivered, memory, against a bare hyper server",
        options: &["ringfence", "rounds", "seconds", "connections", "messages"],
        switches: &[],
        run: sandbox::run,
    },
    Command {
        name: "startup",
        about: "time to the first answer, and memory when idle",
        options: &["rounds", "ringfence", "express", "extra"],
        switches: &[],
        run: startup::run,
    },
    Command {
        name: "load",
        about: "the load generator alone, against a server that runs already",
        options: &[
            "pid",
            "port",
            "forged",
            "forged-status",
            "connections",
            "warm-up",
            "seconds",
            "token",
            "public-url",
        ],
        switches: &["tls", "voice", "new-connections", "awake"],
        run: load::run,
    },
    Command {
        name: "upstream",
        about: "the trivial application alone",
        options: &["port"],
        switches: &[],
        run: upstream::run,
    },
    Command {
        name: "bare-hyper",
        about: "a proxy of hyper alone, for reference",
        options: &["port", "upstream"],
        switches: &[],
        run: bare_hyper::run,
    },
    Command {
        name: "bare-hyper-server",
        about: "a server of hyper alone, for reference",
        options: &["port"],
        switches: &[],
        run: sandbox::bare,
    },
];

/// Reads a command line. What is wrong with it is told with what may be typed instead.
pub(crate) fn read(words: &[String]) -> Result<Wanted, String> {
    let Some((name, rest)) = words.split_first() else { return Err(usage()) };
    if is_help(name) {
        return Ok(Wanted::Usage(usage()));
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name.as_str()) else {
        return Err(format!("error: there is no command {name:?}\n\n{}", usage()));
    };
    if rest.iter().any(|word| is_help(word)) {
        return Ok(Wanted::Usage(command.usage()));
    }
    match Arguments::parse(rest, command.options, command.switches) {
        Ok(arguments) => Ok(Wanted::Run(command, arguments)),
        Err(wrong) => Err(format!("error: {wrong}\n\n{}", command.usage())),
    }
}

fn is_help(word: &str) -> bool {
    matches!(word, "help" | "--help" | "-h")
}

fn usage() -> String {
    let mut text = "usage: ringfence-bench COMMAND [--option value]…\n\n".to_owned();
    let width = COMMANDS.iter().map(|command| command.name.len()).max().unwrap_or_default();
    for Command { name, about, .. } in COMMANDS {
        _ = writeln!(text, "  {name:width$}  {about}");
    }
    text.push_str(
        "\n`ringfence-bench COMMAND --help` names its options; bench/README.md says what they mean.",
    );
    text
}

impl Command {
    fn usage(&self) -> String {
        let Self { name, about, options, switches, .. } = self;
        let mut text = format!("usage: ringfence-bench {name}");
        for option in *options {
            _ = write!(text, " [--{option} VALUE]");
        }
        for switch in *switches {
            _ = write!(text, " [--{switch}]");
        }
        _ = write!(
            text,
            "\n\n  {about}\n\nbench/README.md says what the options mean, and what holds without them."
        );
        text
    }
}

/// The circuit breaker, from the decision alone to the whole way.
fn control(arguments: &Arguments) -> Outcome {
    breaker::run(arguments)?;
    println!();
    writes::run(arguments)?;
    println!();
    polling::run(arguments)?;
    println!();
    suspension::run(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str]) -> Result<Wanted, String> {
        read(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_word_that_no_command_knows_is_told_and_nothing_is_run() {
        for (words, told) in [
            (&["simulate", "--sead", "7"][..], "there is no option --sead"),
            (&["simulate", "7"], "\"7\" belongs to no option"),
            (&["simulate", "-n", "7"], "\"-n\" belongs to no option"),
            (&["simulate", "--seed", "1", "2"], "\"2\" belongs to no option"),
            (&["simulate", "--seed"], "--seed takes a value"),
            (&["simulate", "--seed", "--steps", "9"], "--seed takes a value"),
            (&["gate", "--awake", "yes"], "--awake takes no value"),
            (&["gate", "--rounds", "1", "--rounds", "2"], "--rounds is there twice"),
            (&["simulat"], "there is no command \"simulat\""),
            (&[], "usage: ringfence-bench COMMAND"),
        ] {
            let Err(wrong) = said(words) else { panic!("{words:?} is taken") };
            assert!(wrong.contains(told), "{words:?}: {wrong}");
            assert!(wrong.contains("usage: ringfence-bench"), "{wrong}");
        }
    }

    #[test]
    fn help_is_told_wherever_it_is_asked_for() {
        for words in
            [&["--help"][..], &["-h"], &["help"], &["simulate", "--help"], &["simulate", "--seed", "7", "-h"]]
        {
            let Ok(Wanted::Usage(text)) = said(words) else { panic!("{words:?} runs something") };
            assert!(text.starts_with("usage: ringfence-bench"), "{text}");
            assert_eq!(text.contains("[--seed VALUE]"), words.len() > 1, "{text}");
        }
    }

    #[test]
    fn what_a_command_knows_is_read() {
        let Ok(Wanted::Run(command, arguments)) =
            said(&["gate", "--rounds", "7", "--awake", "--only", "nginx,h"])
        else {
            panic!("it is taken")
        };
        assert_eq!(command.name, "gate");
        assert_eq!(arguments.number("rounds", 3_usize).expect("a number"), 7);
        assert!(arguments.switch("awake"));
        assert_eq!(arguments.list("only"), ["nginx", "h"]);
        assert_eq!(arguments.text("extra", "none"), "none");
    }
}
