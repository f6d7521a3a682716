//! `unsigned-request`, `certificate`, `tls-versions`: the deployment as Twilio, and everybody else, meets it.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Sid;

use super::TlsUpstream;
use super::finding::{Check, Finding, Mend};
use super::hello::Dead;
use super::web::Certificate;
use crate::notices::Severity;

/// Something that was asked without a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// What was asked.
    pub(super) what: Unsigned,
    /// The URL, fit to be shown.
    pub(super) url: String,
    /// The status of the answer.
    pub(super) status: u16,
}

/// What an unsigned request was sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unsigned {
    /// A route of the gate, at its public URL.
    Route { label: String, watches_only: bool, refusal_status: u16 },
    /// An application behind a route, at an address that is public itself.
    Upstream { label: String },
    /// A URL that Twilio was told and that leads past the gate.
    Hook { account: Sid, place: String },
}

/// What the status of an answer to an unsigned request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It was refused for want of a signature.
    Refused,
    /// It was not.
    NotRefused,
    /// Nothing of the check, and why.
    Unclear(&'static str),
}

/// An application that answers an empty request with 400, 404, 405, 422 or 429 may have looked at no signature: only 401
/// and 403 refuse somebody (RFC 9110, sections 15.5.2 and 15.5.4), and of a route only the status that the gate refuses with.
pub(super) const fn said(what: &Unsigned, status: u16) -> Said {
    match (what, status) {
        (_, 429) => Said::Unclear("too many requests were made there"),
        (Unsigned::Route { .. }, 500..) => Said::Unclear("what stands before the gate cannot reach it"),
        (Unsigned::Route { refusal_status, .. }, _) if status == *refusal_status => Said::Refused,
        (Unsigned::Route { .. }, _) => Said::NotRefused,
        (_, 401 | 403) => Said::Refused,
        (_, 400..=499) => Said::Unclear("refused, but perhaps only for its missing parameters"),
        _ => Said::NotRefused,
    }
}

/// What is wrong with what answered. None where it refused, or said nothing.
pub(super) fn unsigned(asked: &Asked) -> Option<Finding> {
    let Asked { what, url, status } = asked;
    let (account, place) = match what {
        Unsigned::Route { label, .. } => (None, label.clone()),
        Unsigned::Upstream { label } => (None, format!("{label}/upstream")),
        Unsigned::Hook { account, place } => (Some(*account), place.clone()),
    };
    if said(what, *status) != Said::NotRefused {
        return None;
    }
    let (severity, said) = match status {
        400..=499 => (
            Severity::Warning,
            format!(
                "{url} answered {status}: the gate refuses with another status, so the proxy does not lead this path to it"
            ),
        ),
        200..=299 => (Severity::Critical, format!("An unsigned request to {url} was answered with {status}")),
        300..=399 => (
            Severity::Warning,
            format!("An unsigned request to {url} was redirected ({status}), not refused"),
        ),
        _ => (
            Severity::Warning,
            format!(
                "An unsigned request to {url} was not refused: the application worked on it and failed ({status})"
            ),
        ),
    };
    let finding = |severity, what: String, why: &str, mend| Finding {
        check: Check::UnsignedRequest,
        severity,
        account,
        place: place.clone(),
        what,
        why: why.to_owned(),
        mend,
    };
    Some(match what {
        Unsigned::Route { watches_only: true, label, .. } if *status == 204 => finding(
            Severity::Info,
            format!("The route {label} only watches (mode = \"shadow\"), so it refuses nothing"),
            "That is right for mirrored traffic, and for nothing else.",
            Mend::by(
                "When its verdicts are what you expect, let it refuse, in its [[route]]",
                "mode = \"enforce\"",
            ),
        ),
        Unsigned::Route { .. } => finding(
            severity,
            said,
            "The gate refuses such a request, so something else answers at its public address: a proxy with a rule of its \
             own, a cache, or the application itself.",
            Mend::by_hand(
                "Find what answers there (DNS, load balancer, proxy) and let it lead every path of the route to the gate",
            ),
        ),
        // The gate's own machine may reach what nobody else does: a firewall lets it through.
        Unsigned::Upstream { .. } => finding(
            severity.min(Severity::Warning),
            format!(
                "The application behind the route answers this machine at {url}, unsigned, with {status}; try from elsewhere"
            ),
            "If others get that answer too, whoever finds the address speaks in Twilio's name. If so, let it listen on a \
             private address, or demand the gate's proof (docs/upstream-proof.md).",
            elsewhere(url),
        ),
        Unsigned::Hook { .. } => finding(
            severity,
            said,
            "Fallback URLs and status callbacks are where signatures are forgotten: whoever finds the URL tells the \
             application what it likes, or answers a call with TwiML of theirs.",
            Mend::by_hand("Lead it through a route of the gate (`webhook-gate` above has the command)"),
        ),
    })
}

/// A URL of a configuration, whose path could hold what a shell would read.
fn elsewhere(url: &str) -> Mend {
    const HOW: &str = "From a machine that the firewall does not know, see whether it answers";
    if url.contains(['\'', '…']) {
        return Mend::by_hand(HOW);
    }
    Mend::by(HOW, format!("curl -i -X POST --data '' '{url}'"))
}

/// A certificate is renewed when a quarter of its life is left, and two weeks are enough for the longest-lived.
const NEAR_THE_END: SignedDuration = SignedDuration::from_hours(14 * 24);
const AT_THE_END: SignedDuration = SignedDuration::from_hours(3 * 24);

/// What is wrong with a certificate that Twilio would take now.
pub(super) fn certificate(origin: &str, certificate: Certificate, now: Timestamp) -> Option<Finding> {
    let (severity, days) = ends(certificate, now)?;
    Some(of_certificate(
        severity,
        origin,
        format!("The certificate at {origin} ends in {days} days, at {}", certificate.not_after),
        "From then on Twilio does not connect: no message and no call reaches the application, and no usage trigger the \
         limits.",
    ))
}

/// How near its end a certificate is, and in how many days that is; none where it is far.
fn ends(certificate: Certificate, now: Timestamp) -> Option<(Severity, i64)> {
    let life = certificate.not_after.duration_since(certificate.not_before);
    let left = certificate.not_after.duration_since(now);
    if left > NEAR_THE_END.min(life / 4) {
        return None;
    }
    let severity = if left <= AT_THE_END.min(life / 10) { Severity::Critical } else { Severity::Warning };
    Some((severity, left.as_hours() / 24))
}

/// What is wrong with a certificate of an application that the gate takes now.
pub(super) fn upstream_certificate(
    upstream: &TlsUpstream,
    certificate: Certificate,
    now: Timestamp,
) -> Option<Finding> {
    let (severity, days) = ends(certificate, now)?;
    let address = &upstream.address;
    let what = format!(
        "The certificate of the application at {address} ends in {days} days, at {}",
        certificate.not_after
    );
    Some(of_upstream(severity, upstream, what, "From then on"))
}

/// A certificate of an application that the gate does not take.
pub(super) fn upstream_untrusted(upstream: &TlsUpstream, why: &str) -> Finding {
    let what = format!("The gate has no TLS with the application at {}: {why}", upstream.address);
    of_upstream(Severity::Critical, upstream, what, "As long as that is so")
}

fn of_upstream(severity: Severity, upstream: &TlsUpstream, what: String, since: &str) -> Finding {
    let TlsUpstream { address, name, routes, .. } = upstream;
    let host = address.trim_start_matches("https://");
    let host = if host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|it| it.is_ascii_digit())) {
        host.to_owned()
    } else {
        format!("{host}:443")
    };
    Finding {
        check: Check::UpstreamTls,
        severity,
        account: None,
        // One address may be two applications, told apart by the name that is asked for.
        place: format!("{address} as {name}"),
        what,
        why: format!(
            "{since} the gate answers webhooks of {} with 502, and nothing reaches the application.",
            routes.join(", ")
        ),
        mend: Mend::by(
            "Look at what it shows, and renew it there with its whole chain; where another authority or name is right, write \
             upstream_ca or upstream_name into the route, and reload",
            format!("openssl s_client -connect {host} -servername {name} -showcerts </dev/null"),
        ),
    }
}

/// A certificate that Twilio does not take.
pub(super) fn untrusted(origin: &str, why: &str) -> Finding {
    of_certificate(
        Severity::Critical,
        origin,
        format!("Twilio does not take the certificate at {origin}: {why}"),
        "Twilio does not connect (error 11237): no message and no call reaches the application, and no usage trigger the \
         limits. A chain without its intermediate certificate looks like this too.",
    )
}

fn of_certificate(severity: Severity, origin: &str, what: String, why: &str) -> Finding {
    Finding {
        check: Check::Certificate,
        severity,
        account: None,
        place: origin.to_owned(),
        what,
        why: why.to_owned(),
        mend: Mend::by(
            "Renew it where TLS ends, with its whole chain; where that is Ringfence, read it anew",
            "systemctl reload ringfence",
        ),
    }
}

/// A dead version of TLS that is still spoken.
pub(super) fn old_tls(origin: &str, version: Dead) -> Finding {
    Finding {
        check: Check::TlsVersions,
        severity: Severity::Warning,
        account: None,
        place: format!("{origin}/{}", version.name()),
        what: format!("{origin} still speaks {}", version.name()),
        why: "It is broken and forbidden (RFC 8996); Twilio itself speaks 1.2 and newer. Ringfence speaks nothing older, so \
              TLS ends elsewhere."
            .to_owned(),
        mend: Mend::by(
            "In the proxy or load balancer in front, as nginx writes it",
            "ssl_protocols TLSv1.2 TLSv1.3;",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn severity(what: Unsigned, status: u16) -> Option<Severity> {
        unsigned(&Asked { what, url: "https://a.example/".to_owned(), status })
            .map(|finding| finding.severity)
    }

    fn route(watches_only: bool) -> Unsigned {
        Unsigned::Route { label: "/sms".to_owned(), watches_only, refusal_status: 403 }
    }

    #[test]
    fn whatever_is_no_refusal_is_found() {
        let hook = || Unsigned::Hook { account: Sid::new(*b"AC", 1), place: "PN/status_callback".to_owned() };
        let upstream = || Unsigned::Upstream { label: "/sms".to_owned() };
        for status in [200, 204] {
            assert_eq!(severity(route(false), status), Some(Severity::Critical));
            assert_eq!(severity(hook(), status), Some(Severity::Critical));
            assert_eq!(
                severity(upstream(), status),
                Some(Severity::Warning),
                "a firewall may let only us in"
            );
        }
        assert_eq!(severity(hook(), 302), Some(Severity::Warning));
        assert_eq!(severity(hook(), 500), Some(Severity::Warning));
        assert_eq!(severity(route(true), 204), Some(Severity::Info));
        assert_eq!(severity(route(true), 200), Some(Severity::Critical), "a shadow answers with nothing");
    }

    #[test]
    fn a_refusal_is_sound_and_a_broken_way_to_the_gate_is_no_answer() {
        assert_eq!(said(&route(false), 403), Said::Refused);
        assert_eq!(severity(route(false), 403), None);
        for status in [400, 401, 404, 405] {
            assert_eq!(severity(route(false), status), Some(Severity::Warning), "{status} is not the gate's");
        }
        for unclear in [429, 502] {
            assert!(matches!(said(&route(false), unclear), Said::Unclear(_)), "{unclear}");
        }
        let hook = Unsigned::Hook { account: Sid::new(*b"AC", 1), place: String::new() };
        for past in [hook, Unsigned::Upstream { label: String::new() }] {
            assert!([401, 403].iter().all(|status| said(&past, *status) == Said::Refused));
            for unclear in [400, 404, 405, 422, 429] {
                assert!(matches!(said(&past, unclear), Said::Unclear(_)), "{unclear}");
            }
            assert_eq!(said(&past, 502), Said::NotRefused);
        }
    }

    #[test]
    fn a_certificate_of_an_application_is_found_by_the_same_measure_with_what_to_look_at() {
        let now: Timestamp = "2026-11-27T00:00:00Z".parse().unwrap();
        let day = SignedDuration::from_hours(24);
        let of = |address: &str| TlsUpstream {
            address: address.to_owned(),
            name: "app.internal".to_owned(),
            routes: vec!["/sms".to_owned(), "/voice".to_owned()],
            look: std::sync::Arc::new(|_| Box::pin(async { Ok(None) })),
        };
        let found = |left: i32| {
            let shown = Certificate { not_before: now - day * (90 - left), not_after: now + day * left };
            upstream_certificate(&of("https://10.0.0.7:8443"), shown, now)
        };
        assert_eq!(found(30), None);
        let near = found(14).unwrap();
        assert_eq!(
            (near.severity, near.place.as_str()),
            (Severity::Warning, "https://10.0.0.7:8443 as app.internal")
        );
        assert!(near.what.contains("ends in 14 days") && near.why.contains("/sms, /voice"), "{near:?}");
        assert_eq!(found(3).unwrap().severity, Severity::Critical);
        let untrusted = upstream_untrusted(&of("https://app"), "its certificate is for another name");
        assert_eq!(untrusted.severity, Severity::Critical);
        for (finding, command) in [
            (near, "openssl s_client -connect 10.0.0.7:8443 -servername app.internal"),
            (untrusted, "openssl s_client -connect app:443 -servername app.internal"),
        ] {
            assert!(format!("{:?}", finding.mend).contains(command), "{finding:?}");
        }
    }

    #[test]
    fn a_certificate_is_found_before_its_end_by_the_length_of_its_life() {
        let now: Timestamp = "2026-11-27T00:00:00Z".parse().unwrap();
        let day = SignedDuration::from_hours(24);
        let found = |life: i32, left: i32| {
            let shown = Certificate { not_before: now - day * (life - left), not_after: now + day * left };
            certificate("https://a.example", shown, now).map(|finding| finding.severity)
        };
        assert_eq!(found(90, 30), None);
        assert_eq!(found(90, 14), Some(Severity::Warning));
        assert_eq!(found(90, 3), Some(Severity::Critical));
        assert_eq!(found(6, 3), None, "one of six days is renewed at the end of its fourth");
        assert_eq!(found(6, 1), Some(Severity::Warning));
    }
}
