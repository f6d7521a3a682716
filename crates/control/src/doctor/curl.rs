//! What a person types to change something at Twilio, where a mend is none of our commands.

use ringfence_model::Sid;
use ringfence_twilio::client::BaseUrl;

use super::Words;
use super::finding::Mend;

/// How Twilio is asked from here, with the credentials that the account in question has now.
pub(super) struct Curl {
    /// Where Twilio is reached.
    pub(super) base: BaseUrl,
    /// How our commands are typed.
    pub(super) words: Words,
    /// Whether there is a store: it has the tokens of subaccounts, and those that Ringfence made.
    pub(super) has_store: bool,
}

impl Curl {
    /// Asks for a resource of an account's: `Keys/SK…`. `flags` come before it, `more` after.
    pub(super) fn of_account(
        &self,
        how: &str,
        account: Sid,
        flags: &str,
        resource: &str,
        more: &str,
    ) -> Mend {
        let at = self.base.file(&format!("/2010-04-01/Accounts/{account}/{resource}.json"));
        self.mend(how, account, flags, at, more)
    }

    /// Asks for something of Messaging's: `/v1/Services/MG…`.
    pub(super) fn of_messaging(&self, how: &str, account: Sid, path: &str, more: &str) -> Mend {
        self.mend(how, account, "", self.base.messaging(path), more)
    }

    fn mend(
        &self,
        how: &str,
        account: Sid,
        flags: &str,
        at: Option<impl std::fmt::Display>,
        more: &str,
    ) -> Mend {
        let Some(at) = at else { return Mend::by_hand(how) };
        // What is reached with the token of a parent is not all that its subaccount has, and the token in somebody's
        // environment may be one that was replaced.
        let token = if self.has_store {
            format!("$({})", self.words.command(&format!("token show {account}")))
        } else {
            "$TWILIO_AUTH_TOKEN".to_owned()
        };
        Mend::by(how, format!("curl {flags}-u {account}:\"{token}\" \\\n  {at}{more}"))
    }
}

#[cfg(test)]
impl Curl {
    pub(super) fn of_a_test() -> Self {
        let words = Words { config: "ringfence.toml".to_owned() };
        Self { base: BaseUrl::default(), words, has_store: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: Sid = Sid::new(*b"AC", 1);

    #[test]
    fn twilio_is_asked_where_it_is_reached_from_here() {
        for (base, at) in [
            ("https://api.twilio.com", "https://api.twilio.com/2010-04-01/"),
            ("https://api.dublin.ie1.twilio.com", "https://api.dublin.ie1.twilio.com/2010-04-01/"),
            ("http://127.0.0.1:4010", "http://127.0.0.1:4010/api.twilio.com/2010-04-01/"),
        ] {
            let curl = Curl { base: base.parse().unwrap(), ..Curl::of_a_test() };
            let mend = curl.of_account("Look", ACCOUNT, "-X DELETE ", "Keys/SK1", "");
            let expected = format!(
                "curl -X DELETE -u {ACCOUNT}:\"$TWILIO_AUTH_TOKEN\" \\\n  {at}Accounts/{ACCOUNT}/Keys/SK1.json"
            );
            assert_eq!(mend.command, Some(expected));
        }
    }

    #[test]
    fn the_token_that_is_typed_is_the_accounts_own_and_the_one_that_holds_now() {
        let curl = Curl { has_store: true, ..Curl::of_a_test() };
        let mend = curl.of_messaging("Tell", ACCOUNT, "/v1/Services/MG1", "");
        let expected = format!(
            "curl -u {ACCOUNT}:\"$(ringfence token show {ACCOUNT} --config ringfence.toml)\" \\\n  \
             https://messaging.twilio.com/v1/Services/MG1"
        );
        assert_eq!(mend.command, Some(expected));
    }
}
