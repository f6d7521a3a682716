//! What a virtual credential of the egress may do, from the command line.

use std::collections::BTreeSet;

use ringfence_model::Sid;
use ringfence_store::{EgressAccounts, EgressArea, EgressDestination, EgressScopes};

/// The scopes of a virtual credential.
#[derive(Debug, clap::Args)]
pub(super) struct Scopes {
    /// Make a virtual credential of the egress for this account (AC…); may be given several times
    #[arg(long, value_name = "SID", value_parser = account, conflicts_with_all = ["application", "may_approve", "may_manage"])]
    account: Vec<Sid>,
    /// The same for every account that has an auth token here
    #[arg(long, conflicts_with_all = ["application", "account", "may_approve", "may_manage"])]
    all_accounts: bool,
    /// What it may do: messages, calls, verifications, lookups (these four by default), numbers, reads, settings,
    /// accounts, unknown
    #[arg(long, value_name = "KIND", value_parser = operation, value_delimiter = ',', conflicts_with = "application")]
    operation: Vec<EgressArea>,
    /// Whom it may reach: a country (GB) or a beginning (+1415, whatsapp:+44, client:); everybody if not given
    #[arg(long, value_name = "PLACE", value_parser = destination, value_delimiter = ',', conflicts_with = "application")]
    destination: Vec<EgressDestination>,
    /// As whom it may send: a number, a sender ID, MG… or VA…; as anybody of the account if not given
    #[arg(long, value_name = "SENDER", value_parser = ringfence_store::parse_sender, conflicts_with = "application")]
    sender: Vec<String>,
    /// For whom of your customers, where limits hold for each of them
    #[arg(long, value_name = "NAME", conflicts_with = "application")]
    tenant: Option<String>,
}

impl Scopes {
    /// Whether a virtual credential is wanted.
    pub(super) fn are_given(&self) -> bool {
        self.all_accounts || !self.account.is_empty()
    }

    /// The accounts that are named.
    pub(super) fn accounts(&self) -> &[Sid] {
        &self.account
    }
}

/// What it may do, and whom it is for, in words.
pub(super) fn scopes(scopes: &Scopes) -> (EgressScopes, String) {
    let Scopes { account, all_accounts, operation, destination, sender, tenant } = scopes;
    let listed: BTreeSet<_> = account.iter().copied().collect();
    let accounts = if *all_accounts { EgressAccounts::All } else { EgressAccounts::Listed(listed.clone()) };
    let whom = if *all_accounts { "every account".to_owned() } else { listed_as(&listed) };
    let mut scopes = EgressScopes::for_accounts(accounts);
    if !operation.is_empty() {
        scopes.operations = operation.iter().copied().collect();
    }
    scopes.destinations.clone_from(destination);
    scopes.senders.clone_from(sender);
    scopes.tenant.clone_from(tenant);
    (scopes, whom)
}

/// What a credential may do, in one line.
pub(super) fn in_words(scopes: &EgressScopes) -> String {
    let EgressScopes { accounts, operations, destinations, senders, tenant } = scopes;
    let whom = match accounts {
        EgressAccounts::All => "every account".to_owned(),
        EgressAccounts::Listed(listed) => listed_as(listed),
    };
    let mut all = vec![format!("for {whom}: {}", listed_as(operations))];
    if !destinations.is_empty() {
        all.push(format!("to {}", listed_as(destinations)));
    }
    if !senders.is_empty() {
        all.push(format!("as {}", senders.join(", ")));
    }
    all.extend(tenant.iter().map(|tenant| format!("tenant {tenant}")));
    all.join("; ")
}

fn listed_as<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

fn account(text: &str) -> Result<Sid, &'static str> {
    Sid::parse(text).ok().filter(|sid| sid.is("AC")).ok_or("an account's SID is AC and 32 hexadecimal digits")
}

fn operation(text: &str) -> Result<EgressArea, &'static str> {
    text.parse()
}

fn destination(text: &str) -> Result<EgressDestination, &'static str> {
    text.parse()
}
