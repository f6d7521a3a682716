//! What a route needs whose answers are held to the limits (`twiml = "limits"`).

use ringfence_gateway::settings::Mode;

use super::problems::Problems;
use super::raw::Table;
use super::route::{CheckWord, Rest};

/// Reports what such a route lacks.
pub(super) fn fits(
    table: &Table<'_>,
    check: Option<CheckWord>,
    mode: Mode,
    rest: &Rest<'_>,
    problems: &mut Problems,
) {
    if rest.listen.egress.is_none() {
        table.wrong(
            "twiml",
            "\"limits\" takes limits and prices from the egress, and [listen] has no `egress`; add it, such as \
             egress = \"127.0.0.1:8500\", or write \"pass\"",
            problems,
        );
    }
    if check == Some(CheckWord::Basic) {
        table.wrong(
            "twiml",
            "only a signature proves which account pays; write check = \"signature\" or \"signature+basic\"",
            problems,
        );
    }
    if mode == Mode::Shadow {
        table.wrong("twiml", "mode = \"shadow\" forwards nothing, so there is no answer to hold", problems);
    }
    if rest.listen.forward_auth.is_some() {
        table.doubtful(
            "twiml",
            "a proxy that asks over `forward_auth` gets the application's answer by itself, past every limit; let it \
             lead this path to the gate",
            problems,
        );
    }
}
