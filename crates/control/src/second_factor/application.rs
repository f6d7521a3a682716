//! An application and its settings, as they stand in the store.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use ringfence_model::Sid;
use ringfence_second_factor::code::CodeLength;
use ringfence_second_factor::country::Country;
use ringfence_second_factor::pumping::Limits;
use ringfence_second_factor::words::{self, HOST_MAX};
use ringfence_store as store;
use serde::{Deserialize, Serialize};

/// The longest name of an application: Twilio's.
const NAME_MAX: usize = 32;

/// The longest name of a host (RFC 1035, 2.3.4).
const NAME_OF_HOST_MAX: usize = 253;

/// More digits than this in a name are a phone number, which a text must not carry for somebody else.
const NAME_DIGITS_MAX: usize = 4;

/// How an application's codes look and what they demand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApplicationSettings {
    /// How many digits a code has: 6 to 10.
    pub digits: u8,
    /// Where its codes go, of the countries of the configuration; all of those where it is empty.
    pub countries: Vec<String>,
    /// The host that its codes are entered at; a browser then offers them there and nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Whether the text says that the code is nobody else's business.
    pub warning: bool,
    /// Whether it may bring its own codes.
    pub custom_codes: bool,
}

impl Default for ApplicationSettings {
    fn default() -> Self {
        Self {
            digits: CodeLength::SIX.digits(),
            countries: Vec::new(),
            host: None,
            warning: false,
            custom_codes: false,
        }
    }
}

/// An application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// `VA…`.
    pub sid: Sid,
    /// What its users know it by.
    pub name: String,
    /// How its codes look and what they demand.
    pub settings: ApplicationSettings,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What is wrong with an application's name or settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplicationProblem {
    /// The name shows nothing, or is longer than Twilio's.
    #[error(
        "a name has 1 to {NAME_MAX} characters that can be seen, none of them a control character or one that turns the direction of a text"
    )]
    NameLength,
    /// It looks like a phone number.
    #[error("a name has no more than {NAME_DIGITS_MAX} digits: it must not look like a phone number")]
    NameDigits,
    /// The length of its codes.
    #[error("a code has 6 to 10 digits")]
    Digits,
    /// It is no country.
    #[error("`{0}` is no country: write the two capital letters of ISO 3166, such as US")]
    Country(String),
    /// The host is none that a browser knows by its name.
    #[error(
        "`{0}` is no name of a host: labels of small letters, digits and hyphens with dots between them, and no address"
    )]
    Host(String),
}

impl ApplicationSettings {
    /// What is wrong with them, if anything is.
    pub fn check(&self, name: &str) -> Result<(), ApplicationProblem> {
        check_name(name)?;
        CodeLength::new(self.digits).map_err(|_| ApplicationProblem::Digits)?;
        for country in &self.countries {
            Country::parse(country).map_err(|_| ApplicationProblem::Country(country.clone()))?;
        }
        match &self.host {
            Some(host) if !is_host(host) => Err(ApplicationProblem::Host(host.clone())),
            _ => Ok(()),
        }
    }
}

impl Application {
    /// The countries of its own that no code goes to, since the configuration does not allow them.
    pub fn countries_in_vain(&self, configured: &Limits) -> Vec<&str> {
        let countries = self.settings.countries.iter().map(String::as_str);
        let is_allowed =
            |country: &str| Country::parse(country).is_ok_and(|it| configured.countries.contains(&it));
        countries.filter(|country| !is_allowed(country)).collect()
    }

    /// Its host, where that is so long that texts may have no room for it: they then come without.
    pub fn long_host(&self) -> Option<&str> {
        self.settings.host.as_deref().filter(|host| host.len() > HOST_MAX)
    }

    /// As it is stored. Settings that this version cannot read are an error of the store's.
    pub fn read(stored: store::Application) -> store::Result<Self> {
        let settings = serde_json::from_value(stored.settings).map_err(|error| store::Error::Corrupt {
            place: format!("applications of {}", stored.sid),
            why: error.to_string(),
        })?;
        let store::Application { sid, name, created_at, updated_at, .. } = stored;
        Ok(Self { sid, name, settings, created_at, updated_at })
    }

    /// What is allowed to be sent for it: never more than the configuration allows.
    pub fn limits(&self, configured: &Arc<Limits>) -> Arc<Limits> {
        if self.settings.countries.is_empty() {
            return Arc::clone(configured);
        }
        let own: BTreeSet<Country> =
            self.settings.countries.iter().filter_map(|country| Country::parse(country).ok()).collect();
        let countries = configured.countries.intersection(&own).copied().collect();
        Arc::new(Limits { countries, ..(**configured).clone() })
    }
}

/// Whether a name may stand in a text.
pub(crate) fn check_name(name: &str) -> Result<(), ApplicationProblem> {
    let length = name.chars().count();
    let shows = |letter: char| !letter.is_whitespace() && !words::is_invisible(letter);
    if !name.chars().any(shows) || length > NAME_MAX || name.chars().any(words::is_unfit) {
        return Err(ApplicationProblem::NameLength);
    }
    // In any script: what a phone makes a link of is not only ASCII.
    if name.chars().filter(|letter| letter.is_numeric()).count() > NAME_DIGITS_MAX {
        return Err(ApplicationProblem::NameDigits);
    }
    Ok(())
}

/// Whether it is a domain, as the hosts of passkeys and of codes are. Browsers take for an address of the network whatever
/// ends with a number (URL Standard, "ends in a number checker").
fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    host.len() <= NAME_OF_HOST_MAX && host.split('.').all(is_label) && !is_number
}

#[cfg(test)]
mod tests {
    use ringfence_model::Segments;

    use super::*;

    fn settings() -> ApplicationSettings {
        ApplicationSettings::default()
    }

    #[test]
    fn what_a_text_cannot_carry_is_refused() {
        assert_eq!(settings().check("Owl Bank"), Ok(()));
        for name in
            ["", " ", "\u{200b}\u{a0}", &"x".repeat(33), "Owl\nBank", "Owl\u{202e}Bank", "Owl\u{2028}Bank"]
        {
            assert_eq!(settings().check(name), Err(ApplicationProblem::NameLength), "{name}");
        }
        for name in ["call 55501", "call ٥٥٥٠١"] {
            assert_eq!(settings().check(name), Err(ApplicationProblem::NameDigits), "{name}");
        }
        let digits = ApplicationSettings { digits: 5, ..settings() };
        assert_eq!(digits.check("Owl"), Err(ApplicationProblem::Digits));
        let country = ApplicationSettings { countries: vec!["UK".into()], ..settings() };
        assert_eq!(country.check("Owl"), Err(ApplicationProblem::Country("UK".into())));
        let long = ["a".repeat(64), ["a"; 128].join(".")];
        let hosts =
            ["", "a b", "-a.example", "a..example", "Example.com", "a/b", "a:443", &long[0], &long[1]];
        let addresses = ["1.2.3.4", "1.2.3", "127.1", "8", "owl.0x7f", "owl.1", "[::1]"];
        for host in hosts.into_iter().chain(addresses) {
            let settings = ApplicationSettings { host: Some(host.to_owned()), ..settings() };
            assert!(matches!(settings.check("Owl"), Err(ApplicationProblem::Host(_))), "{host}");
        }
        let long = format!("{}.example.com", "a".repeat(63));
        for host in ["login.example.com", "localhost", "1.example", "4.2a", &long] {
            let settings = ApplicationSettings { host: Some(host.to_owned()), ..settings() };
            assert_eq!(settings.check("Owl"), Ok(()), "{host}");
        }
    }

    #[test]
    fn a_text_that_has_no_room_for_its_host_comes_without_it() {
        for (length, is_bound) in [(HOST_MAX, true), (43, true), (NAME_OF_HOST_MAX, false)] {
            for locale in ["en", "de", "ja", "ru"] {
                let host = "h".repeat(length);
                let wording = words::Wording {
                    name: "Owl Bank".to_owned(),
                    locale: locale.to_owned(),
                    host: Some(host.clone()),
                    app_hash: None,
                    warning: true,
                };
                let text = words::text(&wording, "123456");
                assert_eq!(Segments::of(&text).count, 1, "{text}");
                assert!(text.contains("123456"), "{text}");
                assert_eq!(text.ends_with(&format!("\n@{host} #123456")), is_bound, "{text}");
            }
        }
    }

    #[test]
    fn an_application_reaches_no_country_that_the_configuration_does_not_allow() {
        let country = |text: &str| Country::parse(text).expect("a country of the test");
        let configured = Arc::new(Limits::shipped([country("US"), country("CA")].into()));
        let application = |countries: &[&str]| Application {
            sid: Sid::new(*b"VA", 1),
            name: "Owl".to_owned(),
            settings: ApplicationSettings {
                countries: countries.iter().map(|it| (*it).to_owned()).collect(),
                ..settings()
            },
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(application(&["US", "GB"]).countries_in_vain(&configured), ["GB"]);
        assert_eq!(application(&[]).countries_in_vain(&configured), [""; 0]);
        let reached = |countries: &[&str]| application(countries).limits(&configured).countries.clone();
        assert_eq!(reached(&[]), configured.countries);
        assert_eq!(reached(&["US", "GB"]), [country("US")].into());
        assert_eq!(reached(&["GB"]), BTreeSet::new());
    }
}
