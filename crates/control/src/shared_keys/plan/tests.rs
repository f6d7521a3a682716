use ringfence_model::Secret;
use ringfence_store::SharedKeyStep::{Asked, Made, Retiring, Signing};
use ringfence_twilio::wire::{RuleShare, SettingSignature};

use super::*;

const ACCOUNT: Sid = Sid::new(*b"AC", 1);
const SETTLE: SignedDuration = SignedDuration::from_mins(5);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn mark() -> Mark {
    Mark::new("abcd")
}

fn prefix(path: &str) -> RuleMatch {
    RuleMatch::Prefix(format!("https://h.example{path}"))
}

/// A key whose mark and id are told apart by one word; its step began at 0.
fn key(word: &str, step: SharedKeyStep) -> SharedKey {
    let of = KeyOfTwilio { id: format!("id-{word}"), secret: Secret::new("secret") };
    SharedKey {
        mark: word.to_owned(),
        account: ACCOUNT,
        generation: 7,
        step,
        held: false,
        key: (step != Asked).then_some(of),
        begun_at: at(0),
        since: at(0),
    }
}

/// What there is, and what is wanted.
struct World {
    wanted: bool,
    settings: Settings,
    keys: Vec<SharedKey>,
    there: AtTwilio,
    late: Vec<LateNode>,
    taken: Vec<RuleMatch>,
    mended: bool,
}

impl World {
    fn new(keys: Vec<SharedKey>) -> Self {
        let settings = Settings { accounts: Accounts::All, urls: vec![prefix("/a/")], settle: SETTLE };
        let mut world = Self {
            wanted: true,
            settings,
            keys,
            there: AtTwilio::default(),
            late: Vec::new(),
            taken: Vec::new(),
            mended: false,
        };
        for word in
            world.keys.iter().filter(|it| it.key.is_some()).map(|it| it.mark.clone()).collect::<Vec<_>>()
        {
            world.has_key(&word);
        }
        world
    }

    fn has_key(&mut self, word: &str) -> &mut Self {
        let friendly_name = Some(mark().name(word));
        self.there.keys.push(wire::SharedKey { id: format!("id-{word}"), friendly_name });
        self
    }

    fn has_setting(&mut self, word: &str) -> &mut Self {
        self.has_setting_by(word, ALGORITHM)
    }

    fn has_setting_by(&mut self, word: &str, algorithm: &str) -> &mut Self {
        self.there.settings.push(WebhookSetting {
            id: format!("setting-{word}"),
            friendly_name: Some(mark().name(word)),
            signature: Some(SettingSignature {
                shared_key_id: Some(format!("id-{word}")),
                algorithm: Some(algorithm.to_owned()),
            }),
        });
        self
    }

    fn has_rule(&mut self, matches: &RuleMatch, word: &str) -> &mut Self {
        let name = rule_name(&mark(), matches);
        self.has_rule_named(&name, matches, word)
    }

    fn has_rule_named(&mut self, name: &str, matches: &RuleMatch, word: &str) -> &mut Self {
        let mut rule = wire::rule_body(name, matches, &format!("setting-{word}"));
        rule["id"] = format!("rule-{}", self.there.rules.len()).into();
        self.there.rules.push(serde_json::from_value(rule).unwrap());
        self
    }

    fn at(&self, second: i64) -> Plan {
        plan(&Given {
            wanted: self.wanted,
            settings: &self.settings,
            keys: &self.keys,
            there: &self.there,
            mark: &mark(),
            late: &self.late,
            taken: &self.taken,
            mended: self.mended,
            now: at(second),
        })
    }
}

#[test]
fn an_account_without_a_key_gets_one_and_no_rule_before_it_has() {
    let world = World::new(vec![]);
    let plan = world.at(1_000);
    assert!(matches!(plan.changes.as_slice(), [Change::CreateKey { again: None, .. }]), "{plan:?}");
}

#[test]
fn rules_name_a_key_when_every_node_verifies_with_it_and_it_has_got_everywhere() {
    let mut world = World::new(vec![key("n", Made)]);
    assert_eq!(world.at(1_000).changes, [Change::CreateSetting(key("n", Made))]);
    world.has_setting("n");
    world.late = vec![LateNode { name: "two".to_owned(), seen_at: at(999) }];
    let late = world.at(1_000);
    assert_eq!((late.changes, late.waits), (vec![], vec![Waits::Nodes(world.late.clone())]));
    world.late.clear();
    assert_eq!(world.at(119).waits, [Waits::Spreads(at(120))]);
    let create = Change::CreateRule { matches: prefix("/a/"), setting: "setting-n".to_owned() };
    assert_eq!(world.at(120).changes, [create]);
    world.keys[0].held = true;
    assert_eq!((world.at(120).changes, world.at(120).waits), (vec![], vec![Waits::Operator]));
    world.keys[0].held = false;
    world.has_rule(&prefix("/a/"), "n");
    assert_eq!(world.at(120).changes, [Change::Signs(key("n", Made))]);
}

#[test]
fn what_is_as_it_should_be_is_left_alone_and_so_is_what_is_not_ours() {
    let mut world = World::new(vec![key("s", Signing)]);
    world.has_setting("s").has_rule(&prefix("/a/"), "s");
    world.has_rule_named("somebody's", &prefix("/other/"), "s");
    world.there.keys.push(wire::SharedKey { id: "x".to_owned(), friendly_name: None });
    let plan = world.at(1_000);
    assert_eq!(plan, Plan { foreign: 2, ..Plan::default() });
}

#[test]
fn the_old_key_counts_until_no_request_can_come_that_it_signed_and_goes_piece_by_piece() {
    let mut world = World::new(vec![key("s", Signing), key("r", Retiring)]);
    world.has_setting("s").has_setting("r").has_rule(&prefix("/a/"), "s");
    assert_eq!((world.at(299).changes, world.at(299).waits), (vec![], vec![Waits::Settles(at(300))]));
    assert_eq!(world.at(300).changes, [Change::DeleteSetting("setting-r".to_owned())]);
    world.there.settings.pop();
    assert_eq!(world.at(300).changes, [Change::DeleteKey("id-r".to_owned())]);
    world.there.keys.pop();
    assert_eq!(world.at(300).changes, [Change::Forget(key("r", Retiring))]);
}

#[test]
fn a_key_that_rules_still_name_is_not_taken_away_however_long_it_retires() {
    let mut world = World::new(vec![key("s", Signing), key("r", Retiring)]);
    world.has_setting("s").has_setting("r").has_rule(&prefix("/a/"), "r");
    let (rule, setting) = ("rule-0".to_owned(), "setting-s".to_owned());
    assert_eq!(world.at(100_000).changes, [Change::PointRule { rule, matches: prefix("/a/"), setting }]);
}

#[test]
fn a_lost_answer_is_waited_for_then_what_it_made_goes_and_another_key_is_asked_for() {
    let mut world = World::new(vec![key("l", Asked)]);
    world.has_key("l");
    assert_eq!((world.at(59).changes, world.at(59).waits), (vec![], vec![Waits::Answer(at(60))]));
    let [Change::DeleteKey(id), Change::CreateKey { again: Some(row), .. }] = &world.at(60).changes[..]
    else {
        panic!("{:?}", world.at(60));
    };
    assert_eq!((id.as_str(), row.mark.as_str()), ("id-l", "l"));
}

#[test]
fn a_key_that_somebody_removed_is_replaced_but_not_one_that_was_made_a_moment_ago() {
    let mut world = World::new(vec![key("n", Made)]);
    world.there.keys.clear();
    assert_eq!(world.at(30).changes, [Change::CreateSetting(key("n", Made))], "the list may be older");
    assert!(matches!(&world.at(60).changes[..], [Change::Retire { .. }]));
    let mut world = World::new(vec![key("s", Signing)]);
    world.there.keys.clear();
    assert!(matches!(&world.at(60).changes[..], [Change::CreateKey { again: None, .. }]));
}

#[test]
fn a_rule_that_was_pointed_elsewhere_or_removed_is_put_back() {
    let mut world = World::new(vec![key("s", Signing)]);
    world.settings.urls.push(prefix("/b/"));
    world.has_setting("s").has_rule(&prefix("/a/"), "other").has_rule(&prefix("/b/"), "s");
    world.there.rules[1].settings.push(RuleShare { setting_id: "another".to_owned(), percentage: Some(50) });
    let of = |rule: &str, path| Change::PointRule {
        rule: rule.to_owned(),
        matches: prefix(path),
        setting: "setting-s".to_owned(),
    };
    assert_eq!(world.at(1_000).changes, [of("rule-0", "/a/"), of("rule-1", "/b/")]);
    world.there.rules.remove(0);
    let create = Change::CreateRule { matches: prefix("/a/"), setting: "setting-s".to_owned() };
    assert_eq!(world.at(1_000).changes, [create, of("rule-1", "/b/")]);
}

#[test]
fn a_rule_that_twilio_writes_otherwise_is_still_known_by_its_name() {
    for written in ["HTTPS://H.Example:443/a/", "https://h.example/a/"] {
        let mut world = World::new(vec![key("s", Signing)]);
        let name = rule_name(&mark(), &prefix("/a/"));
        world.has_setting("s").has_rule_named(&name, &RuleMatch::Prefix(written.to_owned()), "s");
        assert_eq!(world.at(1_000), Plan::default(), "{written}");
    }
    for (shown, given, is_it) in [
        ("https://h", "https://h/", true),
        ("https://h/%c3%bc", "https://h/%C3%BC", true),
        ("https://h/A", "https://h/a", false),
        ("https://h/a", "https://h/a/", false),
        ("http://h/a", "https://h/a", false),
        ("https://h:444/a", "https://h/a", false),
        ("h/a", "https://h/a", false),
    ] {
        let (shown, given) = (RuleMatch::Exact(shown.to_owned()), RuleMatch::Exact(given.to_owned()));
        assert_eq!(is_same(&shown, &given), is_it, "{shown:?} {given:?}");
    }
}

#[test]
fn a_rule_that_somebody_gave_another_url_is_made_again_before_it_goes() {
    let exact = RuleMatch::Exact("https://h.example/a/".to_owned());
    for is_for in [prefix("/A/"), prefix("/b/"), prefix("/"), exact, RuleMatch::Default] {
        let mut world = World::new(vec![key("s", Signing)]);
        let name = rule_name(&mark(), &prefix("/a/"));
        world.has_setting("s").has_rule_named(&name, &is_for, "s");
        let edited = Edited { rule: "rule-0".to_owned(), matches: prefix("/a/"), is_for: is_for.clone() };
        let mend = Change::MendRule { edited, setting: "setting-s".to_owned() };
        assert_eq!(world.at(1_000), Plan { changes: vec![mend], ..Plan::default() }, "{is_for:?}");
        // The edited one may be what still has these URLs signed, so it stays until the new one has got everywhere.
        world.has_rule(&prefix("/a/"), "s");
        world.mended = true;
        assert_eq!(world.at(1_000), Plan { waits: vec![Waits::Mended], ..Plan::default() }, "{is_for:?}");
        world.mended = false;
        let delete = Change::DeleteRule { rule: "rule-0".to_owned(), matches: Some(is_for.clone()) };
        assert_eq!(world.at(1_000), Plan { changes: vec![delete], ..Plan::default() }, "{is_for:?}");
        world.there.rules.remove(0);
        assert_eq!(world.at(1_000), Plan::default(), "{is_for:?}");
    }
}

#[test]
fn a_rule_that_twilio_has_and_writes_in_a_way_that_nobody_knew_is_told_and_left_alone() {
    let mut world = World::new(vec![key("s", Signing)]);
    let (name, written) = (rule_name(&mark(), &prefix("/a/")), prefix("/a/index/.."));
    world.has_setting("s").has_rule_named(&name, &written, "s");
    world.taken = vec![prefix("/a/")];
    let edited = Edited { rule: "rule-0".to_owned(), matches: prefix("/a/"), is_for: written };
    assert_eq!(world.at(1_000), Plan { edited: vec![edited], ..Plan::default() });
    // Nor is it made a third time where Twilio has not said so, and shows what was made again in the same way.
    let rule = world.there.rules[0].clone();
    world.there.rules.push(WebhookRule { id: "rule-1".to_owned(), ..rule });
    world.taken.clear();
    let again = world.at(1_000);
    assert_eq!((again.changes.len(), again.edited.len()), (0, 1), "{again:?}");
    world.there.rules[1].settings[0].setting_id = "setting-old".to_owned();
    assert!(matches!(&world.at(1_000).changes[..], [Change::PointRule { rule, .. }] if rule == "rule-1"));
    world.there.rules.pop();
    world.taken = vec![prefix("/a/")];
    // What it names is put right all the same.
    world.has_setting("n");
    world.there.rules[0].settings[0].setting_id = "setting-n".to_owned();
    let (rule, matches, setting) = ("rule-0".to_owned(), prefix("/a/"), "setting-s".to_owned());
    assert_eq!(world.at(1_000).changes[0], Change::PointRule { rule, matches, setting });
}

#[test]
fn an_edited_rule_whose_urls_somebody_else_has_a_rule_for_stays_in_the_way() {
    let mut world = World::new(vec![key("s", Signing)]);
    let name = rule_name(&mark(), &prefix("/a/"));
    world.has_setting("s").has_rule_named(&name, &prefix("/b/"), "s");
    world.has_rule_named("by hand", &prefix("/a/"), "theirs");
    let plan = world.at(1_000);
    assert_eq!((plan.changes.len(), plan.in_the_way.len()), (0, 1), "{plan:?}");
}

#[test]
fn a_rule_of_somebody_elses_for_a_part_of_our_urls_is_in_the_way_also_where_ours_is_right() {
    let mut world = World::new(vec![key("s", Signing)]);
    world.has_setting("s").has_rule(&prefix("/a/"), "s");
    world.has_rule_named("by hand", &prefix("/a/sms"), "theirs").has_rule_named(
        "too",
        &prefix("/elsewhere/"),
        "x",
    );
    let plan = world.at(1_000);
    assert!(plan.changes.is_empty(), "{plan:?}");
    assert_eq!(plan.in_the_way, [Foreign { rule: "rule-1".to_owned(), matches: prefix("/a/sms") }]);
}

#[test]
fn a_rule_of_somebody_elses_for_our_urls_is_in_the_way_and_told() {
    let mut world = World::new(vec![key("s", Signing)]);
    world.has_setting("s").has_rule_named("by hand", &prefix("/a/"), "theirs");
    let plan = world.at(1_000);
    assert!(plan.changes.is_empty());
    assert_eq!(plan.in_the_way, [Foreign { rule: "rule-0".to_owned(), matches: prefix("/a/") }]);
}

#[test]
fn what_the_configuration_does_not_want_any_more_goes_rules_first() {
    let mut world = World::new(vec![key("s", Signing), key("n", Made)]);
    world.wanted = false;
    world.has_setting("s").has_setting("n").has_rule(&prefix("/a/"), "s");
    let (rule, matches) = ("rule-0".to_owned(), Some(prefix("/a/")));
    assert_eq!(world.at(1_000).changes, [Change::DeleteRule { rule, matches }]);
    world.there.rules.clear();
    let retired: Vec<_> = world.at(1_000).changes;
    assert!(matches!(&retired[..], [Change::Retire { .. }, Change::Retire { .. }]), "{retired:?}");
}

#[test]
fn a_route_that_is_gone_takes_its_rule_along() {
    let mut world = World::new(vec![key("s", Signing)]);
    world.has_setting("s").has_rule(&prefix("/a/"), "s").has_rule(&prefix("/gone/"), "s");
    let (rule, matches) = ("rule-1".to_owned(), Some(prefix("/gone/")));
    assert_eq!(world.at(1_000).changes, [Change::DeleteRule { rule, matches }]);
}

#[test]
fn what_is_ours_and_nobody_knows_of_is_swept_but_not_while_something_names_it() {
    let mut world = World::new(vec![key("s", Signing)]);
    world.has_setting("s").has_rule(&prefix("/a/"), "s");
    world.has_key("forgotten").has_setting("forgotten");
    world.has_rule_named("by hand", &prefix("/hand/"), "forgotten");
    assert!(world.at(1_000).changes.is_empty(), "a rule by hand names it");
    world.there.rules.pop();
    assert_eq!(world.at(1_000).changes, [Change::DeleteSetting("setting-forgotten".to_owned())]);
    world.there.settings.pop();
    assert_eq!(world.at(1_000).changes, [Change::DeleteKey("id-forgotten".to_owned())]);
}

#[test]
fn a_setting_that_somebody_weakened_is_replaced() {
    let mut world = World::new(vec![key("s", Signing)]);
    world.has_setting_by("s", "HMAC_SHA1").has_rule(&prefix("/a/"), "s");
    assert_eq!(world.at(1_000).changes, [Change::CreateSetting(key("s", Signing))]);
}
