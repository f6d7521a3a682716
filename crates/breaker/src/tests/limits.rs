use super::*;
use crate::{LimitProblem, NamePattern, ScopedAccount, Subject, Unseen, Why};

fn keys(limit: &Limit) -> Vec<&'static str> {
    limit.problems().into_iter().map(|LimitProblem { key, .. }| key).collect()
}

#[test]
fn a_limit_that_cannot_work_says_why_and_what_to_type() {
    let right = fifty_a_day();
    assert_eq!(right.problems(), []);
    assert_eq!(keys(&Limit { at: Threshold::At(dollars(0)), ..right.clone() }), ["at"]);
    assert_eq!(keys(&Limit { at: Threshold::At(dollars(-5)), ..right.clone() }), ["at"]);
    assert_eq!(keys(&Limit { at: Threshold::More(dollars(5)), ..right.clone() }), ["at"]);
    assert_eq!(keys(&Limit { then: vec![], ..right.clone() }), ["then"]);
    assert_eq!(keys(&Limit { warn: vec![0, 80], ..right.clone() }), ["warn"]);
    assert_eq!(keys(&Limit { warn: vec![100], ..right.clone() }), ["warn"]);
    assert_eq!(keys(&Limit { probe: Probe::Percent(0), ..right.clone() }), ["probe"]);
    assert_eq!(keys(&Limit { window: Window::Rolling { seconds: 0 }, ..right.clone() }), ["then", "window"]);
    let unseen = |known_after| Some(Unseen { within: 100, known_after });
    assert_eq!(keys(&Limit { unseen: unseen(100), ..right.clone() }), ["known_after"]);
    assert_eq!(keys(&Limit { unseen: unseen(99), ..right.clone() }), [""; 0]);
    let rolling = Limit { window: Window::Rolling { seconds: 60 }, then: vec![], ..right.clone() };
    assert_eq!(rolling.problems(), [], "the egress refuses, which is enough");
    let more = Limit {
        at: Threshold::More(dollars(1)),
        window: Window::Alltime,
        scope: Scope::Tenant("shop".to_owned()),
        ..right.clone()
    };
    assert_eq!(keys(&more), ["at"]);
    let forever = Limit { window: Window::Alltime, reset: Reset::NextWindow, ..right.clone() };
    assert_eq!(keys(&forever), ["reset"]);
    let from_now_on = Limit { window: Window::Alltime, at: Threshold::More(dollars(5)), ..right.clone() };
    assert_eq!(keys(&from_now_on), [""; 0]);
    // What only watches need not do anything.
    assert_eq!(keys(&Limit { then: vec![], enforce: false, ..right }), [""; 0]);
}

#[test]
fn a_parent_cannot_be_suspended_and_the_other_actions_are_named() {
    for scope in [Scope::Parent, Scope::All] {
        let problems = Limit { scope, ..fifty_a_day() }.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        for action in [Action::EndCalls, Action::CancelQueued, Action::CloseGeo, Action::RevokeKeys] {
            assert!(problems[0].what.contains(action.name()), "{}", problems[0].what);
        }
    }
}

#[test]
fn an_action_is_written_as_it_is_typed() {
    let written: Vec<_> = Action::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(written, ["suspend", "end-calls", "cancel-queued", "close-geo", "revoke-keys", "notify"]);
}

#[test]
fn a_place_is_known_by_full_hours_that_are_old_enough_and_not_too_old() {
    let unseen = Unseen { within: 86_400, known_after: 7_200 };
    let hours = unseen.hours(at("2026-03-05T12:30:00Z"));
    assert_eq!(hours, (at("2026-03-04T12:30:00Z"), at("2026-03-05T09:30:00Z")));
}

#[test]
fn a_scope_holds_whom_it_names() {
    let parent = ringfence_model::Sid::new(*b"AC", 1);
    let child = ringfence_model::Sid::new(*b"AC", 2);
    let (before, after) = (at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z"));
    let of = |sid, parent, friendly_name, created| ScopedAccount { sid, parent, friendly_name, created };
    let main = of(parent, None, "Main", before);
    let old = of(child, Some(parent), "customer-7", before);
    let new = of(child, Some(parent), "customer-7", after);
    let name = |pattern| Scope::Name(NamePattern::new(pattern));
    let cases = [
        (Scope::Account(child), [false, true, true]),
        (Scope::Parent, [true, false, false]),
        (Scope::Subaccounts, [false, true, true]),
        (Scope::NewSubaccounts, [false, false, true]),
        (Scope::All, [true, true, true]),
        (name("customer-*"), [false, true, true]),
        (name("M*"), [false, false, false]),
    ];
    for (scope, wanted) in cases {
        assert_eq!([main, old, new].map(|it| scope.contains(&it, after)), wanted, "{scope:?}");
    }
}

#[test]
fn what_twilio_counts_nothing_of_is_for_the_egress_alone_each_by_itself() {
    let plain = fifty_a_day();
    assert!(!plain.is_the_egress_alone());
    for limit in [
        Limit { window: Window::Hour, ..plain.clone() },
        Limit { scope: Scope::Tenant("shop".to_owned()), ..plain.clone() },
        Limit { per: Per::Prefix, ..plain.clone() },
        Limit { measure: Measure::Delivery, ..plain.clone() },
        Limit { measure: Measure::Conversion, ..plain.clone() },
        Limit { unseen: Some(Unseen { within: 100, known_after: 10 }), ..plain.clone() },
    ] {
        assert!(limit.is_the_egress_alone(), "{limit:?}");
    }
}

#[test]
fn why_a_request_does_not_fit_is_told_by_words_that_never_change() {
    let all = [Why::Tripped, Why::OpenOnly, Why::DoesNotFit, Why::NotReadBack];
    assert_eq!(all.map(Why::word), ["tripped", "open-only", "does-not-fit", "not-read-back"]);
}

#[test]
fn a_subject_is_read_back_as_it_was_written() {
    let prefix = "+447".parse().expect("a prefix");
    let account = ringfence_model::Sid::new(*b"AC", 0x1a);
    for (subject, text) in [
        (Subject::Together, "together"),
        (Subject::Prefix(prefix), "+447"),
        (Subject::Account(account), "AC0000000000000000000000000000001a"),
    ] {
        assert_eq!(subject.to_string(), text);
        assert_eq!(text.parse(), Ok(subject));
    }
    assert!("Together".parse::<Subject>().is_err());
    assert_eq!(NamePattern::new("customer-*").to_string(), "customer-*");
}

#[test]
fn a_star_stands_for_anything_and_a_question_mark_for_one_character() {
    let matches = |pattern: &str, name: &str| NamePattern::new(pattern).matches(name);
    for (pattern, name) in [
        ("", ""),
        ("*", ""),
        ("*", "any"),
        ("a*c", "abbbc"),
        ("a*c", "ac"),
        ("*ab*ab", "xababab"),
        ("?", "ü"),
        ("**b", "aab"),
        ("a?c*", "abc"),
    ] {
        assert!(matches(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in
        [("", "a"), ("?", ""), ("a*c", "abd"), ("a*c", "acd"), ("A", "a"), ("a?", "a"), ("*ab*abc", "xabab")]
    {
        assert!(!matches(pattern, name), "{pattern} {name}");
    }
    // Where a recursive matcher would need longer than anybody waits.
    assert!(!matches(&"a*".repeat(50), &format!("{}b", "a".repeat(500)).replace('a', "x")));
    assert!(!matches(&format!("{}c", "*a".repeat(50)), &"a".repeat(2_000)));
}
