//! What a usage trigger says when it fires: Twilio's parameters, read into an observation. Pure.
//!
//! A trigger that fires is told once for each period, under an `IdempotencyToken` of its own; with the account it makes
//! the observation's key, so that whatever comes again is known again.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ringfence_model::Sid;
use ringfence_store::NewObservation;
use thiserror::Error;

/// The parameters that Twilio documents, which are kept.
const WELL_KNOWN: [&str; 10] = [
    "AccountSid",
    "UsageTriggerSid",
    "DateFired",
    "Recurring",
    "UsageCategory",
    "TriggerBy",
    "TriggerValue",
    "CurrentValue",
    "UsageRecordUri",
    "IdempotencyToken",
];

/// No genuine value comes near it. A longer one is left out: cut short it could mean something else.
const VALUE_CHARACTERS_MAX: usize = 200;

/// A usage trigger that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fired {
    /// The account that it is about.
    pub(crate) account: Sid,
    token: String,
    kept: BTreeMap<&'static str, String>,
}

/// Why a signed request is no usage trigger that fired. The sentences name parameters and never their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Malformed {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is there twice, with different values")]
    Torn(&'static str),
    #[error("{name} is not the SID of {what}")]
    NoSid { name: &'static str, what: &'static str },
    #[error("IdempotencyToken is not 1 to 200 printable ASCII characters")]
    Token,
}

impl Fired {
    /// Reads the parameters. Unknown ones are passed over: Twilio adds some at any time.
    pub(crate) fn read<'a>(
        parameters: impl Iterator<Item = (Cow<'a, [u8]>, Cow<'a, [u8]>)>,
    ) -> Result<Self, Malformed> {
        let mut found = BTreeMap::<&'static str, Cow<'a, [u8]>>::new();
        for (name, value) in parameters {
            let Some(name) = WELL_KNOWN.into_iter().find(|known| *known.as_bytes() == *name) else {
                continue;
            };
            // A signature covers each distinct value once, so the same again is what anybody could have added.
            match found.get(name) {
                Some(other) if *other != value => return Err(Malformed::Torn(name)),
                _ => found.insert(name, value),
            };
        }
        let account = sid(&found, "AccountSid", "AC", "an account")?;
        let trigger = sid(&found, "UsageTriggerSid", "UT", "a usage trigger")?;
        let token = found.get("IdempotencyToken").ok_or(Malformed::Missing("IdempotencyToken"))?;
        let token = text(token).filter(|token| is_token(token)).ok_or(Malformed::Token)?.to_owned();
        let mut kept: BTreeMap<_, _> = found
            .iter()
            .filter_map(|(name, value)| Some((*name, text(value)?.to_owned())))
            .filter(|(_, value)| value.chars().take(VALUE_CHARACTERS_MAX + 1).count() <= VALUE_CHARACTERS_MAX)
            .collect();
        // SIDs are kept as they are written everywhere else here, whatever the case of their digits.
        kept.insert("AccountSid", account.to_string());
        kept.insert("UsageTriggerSid", trigger.to_string());
        Ok(Self { account, token, kept })
    }

    /// What is stored of it.
    pub(crate) fn into_observation(self) -> NewObservation {
        let kept = self.kept.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
        NewObservation {
            key: format!("trigger/{}/{}", self.account, self.token),
            source: "trigger".to_owned(),
            account: self.account.to_string(),
            payload: serde_json::Value::Object(kept.collect()),
        }
    }
}

fn sid(
    found: &BTreeMap<&'static str, Cow<'_, [u8]>>,
    name: &'static str,
    prefix: &str,
    what: &'static str,
) -> Result<Sid, Malformed> {
    let value = found.get(name).ok_or(Malformed::Missing(name))?;
    let sid = text(value).and_then(|value| Sid::parse(value).ok());
    sid.filter(|sid| sid.is(prefix)).ok_or(Malformed::NoSid { name, what })
}

/// A value as text. Twilio sends no control characters, and databases differ in what they make of them.
fn text(value: &[u8]) -> Option<&str> {
    str::from_utf8(value).ok().filter(|text| !text.chars().any(char::is_control))
}

fn is_token(token: &str) -> bool {
    let is_printable = token.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_printable && (1..=VALUE_CHARACTERS_MAX).contains(&token.len())
}

#[cfg(test)]
mod tests {
    use ringfence_signature::fields;
    use serde_json::json;

    use super::*;

    const ACCOUNT: &str = "AC0000000000000000000000000000000a";
    const TRIGGER: &str = "UT0000000000000000000000000000000b";

    fn read(body: &str) -> Result<Fired, Malformed> {
        Fired::read(fields(body.as_bytes()))
    }

    fn body(account: &str, trigger: &str, token: &str) -> String {
        format!("AccountSid={account}&UsageTriggerSid={trigger}&IdempotencyToken={token}")
    }

    #[test]
    fn what_does_not_tell_account_trigger_and_token_is_refused() {
        let long = "t".repeat(201);
        for (wrong, why) in [
            (String::new(), "AccountSid is missing"),
            (format!("AccountSid={ACCOUNT}&IdempotencyToken=t"), "UsageTriggerSid is missing"),
            (format!("AccountSid={ACCOUNT}&UsageTriggerSid={TRIGGER}"), "IdempotencyToken is missing"),
            (body("AC1", TRIGGER, "t"), "AccountSid is not the SID of an account"),
            (body(TRIGGER, TRIGGER, "t"), "AccountSid is not the SID of an account"),
            (body(ACCOUNT, ACCOUNT, "t"), "UsageTriggerSid is not the SID of a usage trigger"),
            (body(ACCOUNT, "%FF", "t"), "UsageTriggerSid is not the SID of a usage trigger"),
            (body(ACCOUNT, TRIGGER, ""), "IdempotencyToken is not 1 to 200 printable ASCII characters"),
            (body(ACCOUNT, TRIGGER, "a%00b"), "IdempotencyToken is not 1 to 200 printable ASCII characters"),
            (body(ACCOUNT, TRIGGER, "%C3%A4"), "IdempotencyToken is not 1 to 200 printable ASCII characters"),
            (body(ACCOUNT, TRIGGER, "%FF"), "IdempotencyToken is not 1 to 200 printable ASCII characters"),
            (body(ACCOUNT, TRIGGER, &long), "IdempotencyToken is not 1 to 200 printable ASCII characters"),
            (
                body(ACCOUNT, TRIGGER, "a&IdempotencyToken=b"),
                "IdempotencyToken is there twice, with different values",
            ),
            (body(ACCOUNT, TRIGGER, "a").to_lowercase(), "AccountSid is missing"),
        ] {
            assert_eq!(read(&wrong).map_err(|why| why.to_string()), Err(why.to_owned()), "{wrong}");
        }
    }

    #[test]
    fn the_observation_holds_what_twilio_documents_and_nothing_else() {
        let other_case = body(&ACCOUNT.replace('a', "A"), TRIGGER, "AC-FIRES-UT-2026-11-26");
        let fired =
            read(&format!("{other_case}&Recurring=daily&CurrentValue=50.01&Body=secret&Recurring=daily"));
        let observation = fired.unwrap().into_observation();
        assert_eq!(observation.key, format!("trigger/{ACCOUNT}/AC-FIRES-UT-2026-11-26"));
        assert_eq!((&*observation.source, &*observation.account), ("trigger", ACCOUNT));
        let payload = json!({
            "AccountSid": ACCOUNT,
            "UsageTriggerSid": TRIGGER,
            "IdempotencyToken": "AC-FIRES-UT-2026-11-26",
            "Recurring": "daily",
            "CurrentValue": "50.01",
        });
        assert_eq!(observation.payload, payload);
    }

    #[test]
    fn a_value_that_is_too_long_or_no_text_is_left_out_and_never_cut() {
        let fits = "ä".repeat(200);
        let (long, known) = ("1".repeat(201), body(ACCOUNT, TRIGGER, &"t".repeat(200)));
        let fired =
            read(&format!("{known}&CurrentValue={long}&DateFired=%FF&TriggerBy=a%00&UsageCategory={fits}"));
        let payload = fired.unwrap().into_observation().payload;
        let names: Vec<_> = payload.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["AccountSid", "IdempotencyToken", "UsageCategory", "UsageTriggerSid"]);
    }
}
