//! What stands around every page of somebody who is signed in.

use ringfence_store::{Role, Where};

use crate::form::Fields;
use crate::routes::Call;
use crate::signed_in::SignedIn;
use crate::typed::Again;

/// A part of the console, as the navigation has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Accounts,
    Limits,
    Requests,
    Services,
    Audit,
    Ledger,
    Incidents,
    Credentials,
    People,
    Policies,
    Security,
    /// None of them.
    None,
}

/// Each with its name, its path, and who may see it.
const SECTIONS: [(Section, &str, &str, Role, bool); 12] = [
    (Section::Overview, "Overview", "/", Role::Auditor, false),
    (Section::Accounts, "Accounts", "/accounts", Role::Auditor, false),
    (Section::Limits, "Limits", "/limits", Role::Auditor, false),
    (Section::Ledger, "Ledger", "/ledger", Role::Auditor, false),
    (Section::Incidents, "Incidents", "/incidents", Role::Auditor, false),
    (Section::Requests, "Requests", "/requests", Role::Auditor, false),
    (Section::Services, "Codes", "/services", Role::Auditor, true),
    (Section::Audit, "Audit", "/audit", Role::Auditor, false),
    (Section::People, "People", "/people", Role::Owner, true),
    (Section::Policies, "Policies", "/policies", Role::Owner, false),
    (Section::Credentials, "Credentials", "/keys", Role::Owner, false),
    (Section::Security, "My security", "/security", Role::Visitor, false),
];

/// An entry of the navigation.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) is_current: bool,
}

/// What stands around a page.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) login: String,
    pub(crate) role: &'static str,
    pub(crate) place: String,
    /// Whether there is another place to go to.
    pub(crate) goes_elsewhere: bool,
    pub(crate) csrf: String,
    pub(crate) entries: Vec<Entry>,
    /// What was just done.
    pub(crate) done: Option<&'static str>,
    /// Why a form has what was typed before.
    pub(crate) again: Option<&'static str>,
    /// What something was typed for that is not shown here, and what this page looks at.
    pub(crate) elsewhere: Option<(String, String)>,
}

impl Frame {
    pub(crate) fn new(call: &Call<'_>, section: Section) -> Self {
        let signed_in = call.signed_in;
        let entries = SECTIONS.iter().filter(|(_, _, _, role, everywhere)| {
            signed_in.may(*role) && (!everywhere || signed_in.place() == Where::Everywhere)
        });
        Self {
            login: signed_in.person().login.clone(),
            role: signed_in.role().map_or("no role", Role::word),
            place: place(signed_in),
            goes_elsewhere: signed_in.has_other_places(),
            csrf: signed_in.csrf().to_owned(),
            entries: entries
                .map(|(it, name, path, ..)| Entry { name, path, is_current: *it == section })
                .collect(),
            done: done(&call.query),
            again: call.again.map(Again::words),
            elsewhere: call.elsewhere.map(|other| (named(other), named(signed_in.place()))),
        }
    }
}

fn place(signed_in: &SignedIn) -> String {
    signed_in.only_account().map_or_else(|| "All accounts".to_owned(), |sid| sid.to_string())
}

/// What somebody looks at, within a sentence.
pub(crate) fn named(place: Where) -> String {
    match place {
        Where::Everywhere => "all accounts together".to_owned(),
        Where::Account(sid) => sid.to_string(),
    }
}

/// What a redirect after a change says, in words of our own.
fn done(query: &Fields) -> Option<&'static str> {
    match query.get("done") {
        "trip" => {
            Some("Stopped. The actions of the limit are ordered, and repeated until Twilio shows them.")
        }
        "reset" => Some("Reset. What the trip had ordered is being taken back."),
        "reset-held" => Some("Reset. The account stays suspended, for what else holds it: see why below."),
        "suspend" => Some("The suspension is ordered, and repeated until Twilio shows it."),
        "resume" => Some("The account is let go: it becomes active again at Twilio in a moment."),
        "device" => Some("It is not trusted any more."),
        "session" => Some("Ended."),
        "role" => Some("The roles are changed, at once and on every node."),
        "lock" => Some("Done, at once and on every node."),
        "already" => Some("It was so already: nothing was changed."),
        "removed" => Some("Removed, with everything that was theirs."),
        "phone" => Some("The phone is taken away. You were mailed about it."),
        "passkey" => Some("The passkey is taken away. You were mailed about it."),
        "their-passkey" => Some("The passkey is taken away. They were mailed about it."),
        "their-devices" => Some("None of their computers is trusted any more. They were mailed about it."),
        "their-sessions" => {
            Some("Every session of theirs has ended, at once and on every node. They were mailed about it.")
        }
        "nothing" => Some("There was nothing to end."),
        "policy" => Some("Set. It holds from the next sign-in on."),
        "resume-prefix" => Some("Codes go to these numbers again, and are counted anew."),
        "revoke" => Some("The token is revoked."),
        "revoke-key" => Some("The credential is revoked, at once and on every node."),
        _ => None,
    }
}
