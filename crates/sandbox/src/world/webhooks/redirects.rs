//! Redirects of an application, followed as a browser follows them.
//!
//! A 307 is asked in the same way; 301, 302 and 303 with a GET, and what the webhook had to say is lost, as it is with
//! Twilio. Others are no redirects to it: <https://www.twilio.com/docs/api/errors/11216>.

use ringfence_twilio::twiml::{has_scheme, resolve};

use super::{Answer, Method, Target};

/// Where an answer of `from` sends us, and how it wants to be asked there. `None`: it is no redirect that is followed.
pub(super) fn target(from: &Target, answer: &Answer) -> Option<Target> {
    let method = if answer.status == 307 { from.method } else { Method::Get };
    location(answer).map(|location| Target { url: resolve(&from.url, location), method })
}

/// What a redirect that is followed says of where to go.
pub(super) fn location(answer: &Answer) -> Option<&str> {
    let location = answer.location.as_deref().filter(|_| matches!(answer.status, 301..=303 | 307))?.trim();
    let is_of_the_web =
        |scheme: &str| location.get(..scheme.len()).is_some_and(|it| it.eq_ignore_ascii_case(scheme));
    let can_be_asked = !has_scheme(location) || is_of_the_web("http://") || is_of_the_web("https://");
    (!location.is_empty() && can_be_asked).then_some(location)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(status: u16, location: &str) -> Option<(String, Method)> {
        let from =
            Target { url: "https://user:word@app.example/a/sms?b=c#rc=2".to_owned(), method: Method::Post };
        let answer = Answer { status, location: Some(location.to_owned()), ..Answer::default() };
        target(&from, &answer).map(|target| (target.url, target.method))
    }

    #[test]
    fn what_is_no_redirect_or_leads_out_of_the_web_is_not_followed() {
        for status in [200, 300, 304, 305, 306, 308, 399, 404] {
            assert_eq!(sent(status, "/x"), None, "{status}");
        }
        for location in
            ["", "  ", "ftp://app.example/x", "javascript:alert(1)", "mailto:a@b.example", "file:///x"]
        {
            assert_eq!(sent(302, location), None, "{location}");
        }
        let silent = Answer { status: 302, ..Answer::default() };
        assert_eq!(location(&silent), None);
    }

    #[test]
    fn only_a_307_is_asked_in_the_same_way() {
        let here = "https://user:word@app.example";
        for status in [301, 302, 303] {
            assert_eq!(sent(status, "/x"), Some((format!("{here}/x"), Method::Get)), "{status}");
        }
        assert_eq!(sent(307, "x?y=z"), Some((format!("{here}/a/x?y=z"), Method::Post)));
        let other = "HTTPS://other.example/";
        assert_eq!(sent(307, other), Some((other.to_owned(), Method::Post)));
    }
}
