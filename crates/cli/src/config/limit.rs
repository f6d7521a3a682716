//! `[[limit]]`: the operator's rules, read into the breaker's own words.
//!
//! What one key can say wrong is told here, on its line. What keys say wrong together is the breaker's to know
//! (`Limit::problems`), and is put on the line of the key that mends it; what the rest of the file must have is in
//! `control`.

mod amount;
mod egress;
mod sign;

pub(crate) use amount::amount;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ringfence_breaker::{Action, Limit, Measure, NamePattern, Per, Probe, Reset, Scope, Window};
use ringfence_model::{Amount, Sid};
use ringfence_twilio::wire::UsageCategory;

use super::account::Account;
use super::problems::Problems;
use super::raw::{Field, Section, Table, alternatives, nearest};

pub(super) const SECTION: Section = Section {
    name: "[[limit]]",
    keys: &[
        "name",
        "scope",
        "per",
        "measure",
        "category",
        "window",
        "at",
        "least",
        "settle",
        "burst",
        "unseen",
        "known_after",
        "warn",
        "then",
        "probe",
        "reset",
        "enforce",
    ],
    later: &[],
};

pub(super) const SCOPE: Section = Section {
    name: "scope of [[limit]]",
    keys: &["name", "tenant", "credential", "destination"],
    later: &[],
};

/// A trigger at Twilio is named after its limit, and such a name has at most 64 characters.
const NAME_CHARS_MAX: usize = 60;
const NAME_FORM: &str = "a name such as \"fifty a day\", of 1 to 60 printable characters";
const SCOPE_FORM: &str = "an account's SID, \"parent\", \"subaccounts\", \"new-subaccounts\", \"all\", \
                          { name = \"customer-*\" }, or of what goes through the egress { tenant = \"shop\" }, \
                          { credential = \"SK...\" } or { destination = [\"+95\"] }";
const THEN_FORM: &str = "a list such as [\"suspend\", \"notify\"]";
const WARN_FORM: &str = "a list of per cents such as [50, 80]";
const CATEGORY_FORM: &str =
    "one of Twilio's usage categories, such as \"totalprice\", \"sms-outbound\" or \"calls\"";

const MEASURES: [(&str, Measure); 5] = [
    ("price", Measure::Price),
    ("usage", Measure::Usage),
    ("count", Measure::Count),
    ("delivery", Measure::Delivery),
    ("conversion", Measure::Conversion),
];

/// A limit, and where it was typed.
pub(super) struct Typed<'a> {
    pub(super) table: Table<'a>,
    pub(super) limit: Limit,
}

/// Reads all limits. `accounts` is nothing where not all of them could be read.
pub(super) fn resolve<'a>(
    tables: &[Table<'a>],
    accounts: Option<&[Account]>,
    problems: &mut Problems,
) -> Vec<Typed<'a>> {
    let mut names = BTreeMap::new();
    let mut rules = BTreeMap::new();
    let mut limits = Vec::new();
    for table in tables {
        let Some(limit) = one(table, accounts, problems) else { continue };
        let line = problems.line(table.offset());
        if let Some(other) = names.insert(limit.name.clone(), line) {
            table.wrong(
                "name",
                format_args!("the limit of line {other} has this name already; write another"),
                problems,
            );
        }
        // Without its name, so that what is left is the rule itself.
        let rule = format!("{:?}", Limit { name: String::new(), ..limit.clone() });
        if let Some(other) = rules.insert(rule, line) {
            problems.error(
                table.offset(),
                format!("[[limit]] repeats the limit of line {other} word for word; remove one, or change what was meant to differ"),
            );
        }
        limits.push(Typed { table: *table, limit });
    }
    limits
}

fn one(table: &Table<'_>, accounts: Option<&[Account]>, problems: &mut Problems) -> Option<Limit> {
    let errors_before = problems.errors_len();

    // What must be there.
    let name = table
        .required("name", NAME_FORM, problems)
        .and_then(|field| field.parse(NAME_FORM, problems, printable_name));
    let scope = table.required("scope", SCOPE_FORM, problems).and_then(|field| scope(field, problems));
    let windows = [
        ("daily", Window::Daily),
        ("monthly", Window::Monthly),
        ("yearly", Window::Yearly),
        ("alltime", Window::Alltime),
        ("hour", Window::Hour),
        ("minute", Window::Minute),
    ];
    let window_form = alternatives(&windows.map(|(name, _)| name));
    let window =
        table.required("window", &window_form, problems).and_then(|field| window(field, &windows, problems));
    let measure = choice(table, "measure", &MEASURES, Measure::Price, problems);
    let is_a_sign = measure.is_some_and(Measure::is_a_sign);
    let at = sign::at(table, is_a_sign, problems);

    // What has a default.
    let per = [("account", Per::Account), ("together", Per::Together), ("prefix", Per::Prefix)];
    let per = choice(table, "per", &per, if is_a_sign { Per::Prefix } else { Per::Account }, problems);
    sign::says_what_it_means(table, is_a_sign, problems);
    let category = match table.find("category") {
        Some(field) => category(field, problems),
        None => Some(UsageCategory::TOTAL_PRICE.to_owned()),
    };
    let burst = match table.find("burst") {
        Some(field) => field.parse(amount::BURST_FORM, problems, amount).map(Some),
        None => Some(None),
    };
    let unseen = egress::unseen(table, problems);
    let is_of_unseen = table.find("unseen").is_some();
    let warn = match table.find("warn") {
        Some(field) => warn(field, problems),
        // No sum of an even flow is watched on its way up.
        None if is_a_sign || matches!(window, Some(Window::Gcra { .. })) => Some(Vec::new()),
        None => Some(vec![80]),
    };
    let then = match (table.find("then"), &scope) {
        (Some(field), _) => actions(field, problems),
        (None, _) if is_a_sign => Some(vec![Action::Notify]),
        (None, Some(scope)) if is_of_unseen || egress::is_its_alone(scope, per, window) => {
            Some(egress::default_actions(window))
        }
        (None, Some(scope)) => default_actions(table, scope, accounts, problems),
        (None, None) => None,
    };
    let probe = match table.find("probe") {
        Some(field) => field.parse(amount::PROBE_FORM, problems, amount::probe),
        None => Some(Probe::Percent(10)),
    };
    let reset = [("manual", Reset::Manual), ("next window", Reset::NextWindow)];
    // What looks like an attack is for somebody to look at.
    let lifted_by = if is_a_sign { Reset::Manual } else { egress::default_reset(window) };
    let reset = choice(table, "reset", &reset, lifted_by, problems);
    let enforce = match table.find("enforce") {
        Some(field) => field.boolean(problems),
        None => Some(true),
    };
    if problems.errors_len() > errors_before {
        return None;
    }

    // What must fit together.
    let limit = Limit {
        name: name?,
        scope: scope?,
        per: per?,
        measure: measure?,
        category: category?,
        window: window?,
        at: at?,
        burst: burst?,
        unseen,
        warn: warn?,
        then: then?,
        probe: probe?,
        reset: reset?,
        enforce: enforce?,
    };
    for problem in limit.problems() {
        table.wrong(problem.key, problem, problems);
    }
    // Where the scope tells by itself, the breaker has told it.
    if !limit.may_contain_a_parent()
        && limit.then.contains(&Action::Suspend)
        && is_a_parent(&limit.scope, accounts)
    {
        table.wrong(
            "then",
            "Twilio cannot suspend a parent account, and this account is one here; if it is a subaccount, name its \
             `parent` in its [[account]], else write other actions (end-calls, cancel-queued, close-geo, \
             revoke-keys, notify)",
            problems,
        );
    }
    measure_fits(table, &limit, problems);
    if limit.sign().is_none() && limit.probe_amount() > limit.amount() {
        table.doubtful("probe", "a reset allows more than the limit itself", problems);
    }
    (problems.errors_len() == errors_before).then_some(limit)
}

/// Whether it is one account, which this file knows as a parent.
fn is_a_parent(scope: &Scope, accounts: Option<&[Account]>) -> bool {
    let Scope::Account(sid) = scope else { return false };
    let is_it = |account: &&Account| account.is(*sid);
    accounts.unwrap_or_default().iter().find(is_it).is_some_and(|account| account.parent.is_none())
}

/// Suspend and tell, where Twilio can suspend. Nobody gets something weaker without having typed it.
fn default_actions(
    table: &Table<'_>,
    scope: &Scope,
    accounts: Option<&[Account]>,
    problems: &mut Problems,
) -> Option<Vec<Action>> {
    if matches!(scope, Scope::Parent | Scope::All) || is_a_parent(scope, accounts) {
        table.required(
            "then",
            "what is done when it trips, such as then = [\"notify\", \"close-geo\", \"cancel-queued\"]: Twilio cannot \
             suspend a parent account, and this scope has one",
            problems,
        );
        return None;
    }
    Some(vec![Action::Suspend, Action::Notify])
}

/// One whole thing.
const ONE: i64 = Amount::from_units(1).micros();

/// What Twilio never counts would never trip.
fn measure_fits(table: &Table<'_>, limit: &Limit, problems: &mut Problems) {
    let is_counted = |category: &UsageCategory| !category.common || !category.count_unit.is_empty();
    if limit.measure != Measure::Count {
        return;
    }
    if !UsageCategory::find(&limit.category).is_none_or(is_counted) {
        table.wrong(
            "measure",
            format_args!(
                "Twilio counts nothing in {}, so this limit would never trip; write \"price\"",
                limit.category
            ),
            problems,
        );
    }
    if let Some(burst) = limit.burst.filter(|burst| burst.micros() % ONE != 0) {
        let what = format_args!("what is counted is whole, and {burst} is not; write a whole number");
        table.wrong("burst", what, problems);
    }
    if limit.amount().micros() % ONE != 0 {
        table.wrong(
            "at",
            format_args!("what is counted is whole, and {} is not; write a whole number", limit.amount()),
            problems,
        );
    }
}

fn choice<T: Copy>(
    table: &Table<'_>,
    key: &'static str,
    words: &[(&'static str, T)],
    default: T,
    problems: &mut Problems,
) -> Option<T> {
    match table.find(key) {
        Some(field) => field.choice(words, problems),
        None => Some(default),
    }
}

/// Names are shown in terminals, logs and mails, where a character that cannot be seen makes one name look like
/// another.
fn printable_name(text: &str) -> Result<String, String> {
    let chars = text.chars().count();
    if chars == 0 {
        return Err("is empty".to_owned());
    }
    if chars > NAME_CHARS_MAX {
        return Err(format!("has {chars} characters"));
    }
    if text.trim() != text {
        return Err("begins or ends with white space".to_owned());
    }
    if text
        .chars()
        .any(|letter| letter.is_control() || (letter.is_whitespace() && letter != ' ') || is_unseen(letter))
    {
        return Err("has characters that cannot be seen".to_owned());
    }
    Ok(text.to_owned())
}

/// Characters without a shape that are neither controls nor white space: joiners, marks of direction, soft hyphens.
const fn is_unseen(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn scope(field: Field<'_>, problems: &mut Problems) -> Option<Scope> {
    if field.is_table() {
        return scope_in_words(field, problems);
    }
    let Some(text) = field.as_text() else {
        field.wrong_type("a scope", SCOPE_FORM, problems);
        return None;
    };
    let words = [
        ("parent", Scope::Parent),
        ("subaccounts", Scope::Subaccounts),
        ("new-subaccounts", Scope::NewSubaccounts),
        ("all", Scope::All),
    ];
    if let Some((_, scope)) = words.iter().find(|(name, _)| *name == text) {
        return Some(scope.clone());
    }
    if let Ok(sid) = Sid::parse(text)
        && sid.is("AC")
    {
        return Some(Scope::Account(sid));
    }
    let what = match text {
        "tenant" | "credential" | "destination" => "names nobody yet",
        _ if text.starts_with("AC") => "is not an account's SID, which is AC and 32 hexadecimal digits",
        _ => "is no scope",
    };
    let names = words.each_ref().map(|(name, _)| *name);
    let hint = match nearest(text, &names) {
        Some(nearest) => format!("did you mean \"{nearest}\"? It may be {SCOPE_FORM}"),
        None => format!("write {SCOPE_FORM}"),
    };
    field.wrong(format_args!("\"{}\" {what}; {hint}", text.escape_debug()), problems);
    None
}

fn scope_in_words(field: Field<'_>, problems: &mut Problems) -> Option<Scope> {
    const FORM: &str = "a friendly name in which * stands for any characters, such as \"customer-*\"";
    let table = field.table(&SCOPE, &[], SCOPE_FORM, problems)?;
    if let ControlFlow::Break(scope) = egress::scope(&table, problems) {
        return scope;
    }
    let name = table.required("name", FORM, problems)?;
    let pattern = name.parse(FORM, problems, |text| {
        if text.is_empty() { Err("is empty, and no subaccount is named so") } else { Ok(text) }
    })?;
    if pattern.bytes().all(|byte| byte == b'*') {
        name.doubtful("this is every subaccount; scope = \"subaccounts\" says so", problems);
    }
    Some(Scope::Name(NamePattern::new(pattern)))
}

fn window(field: Field<'_>, windows: &[(&'static str, Window)], problems: &mut Problems) -> Option<Window> {
    match field.as_text() {
        Some(text) if text.starts_with("rolling") => egress::rolling(field, problems),
        Some(text) if text.starts_with("gcra") => egress::gcra(field, problems),
        _ => field.choice(windows, problems),
    }
}

/// Twilio adds categories without a word, so an unknown one is a warning.
fn category(field: Field<'_>, problems: &mut Problems) -> Option<String> {
    let category = field.parse(CATEGORY_FORM, problems, |text| {
        if text.is_empty() {
            Err("is empty")
        } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Err("has characters that no category has")
        } else {
            Ok(text.to_owned())
        }
    })?;
    if UsageCategory::find(&category).is_none() {
        let hint = match nearest_category(&category) {
            Some(nearest) => format!("; did you mean \"{nearest}\"?"),
            None => String::new(),
        };
        field.doubtful(
            format_args!(
                "\"{category}\" is no usage category of Twilio's that is known here, and one that Twilio does not have never trips{hint}"
            ),
            problems,
        );
    }
    Some(category)
}

/// As for keys, but categories have hyphens.
fn nearest_category(typed: &str) -> Option<&'static str> {
    let typed = typed.to_ascii_lowercase().replace('_', "-");
    let names = || UsageCategory::all().iter().map(|category| category.name);
    let (distance, best) = names().map(|name| (strsim::damerau_levenshtein(&typed, name), name)).min()?;
    let tolerated = (best.len() / 4).max(1);
    if distance <= tolerated {
        return Some(best);
    }
    // Half a word is meant as the whole, and of those that begin so the shortest.
    names().filter(|name| typed.len() >= 4 && name.starts_with(&typed)).min_by_key(|name| name.len())
}

fn warn(field: Field<'_>, problems: &mut Problems) -> Option<Vec<u8>> {
    let list = field.list(WARN_FORM, problems)?;
    let level = |item: &Field<'_>, problems: &mut Problems| {
        item.integer(1, 99, problems).and_then(|percent| u8::try_from(percent).ok())
    };
    let mut levels: Vec<_> = list.iter().filter_map(|item| level(item, problems)).collect();
    let complete = levels.len() == list.len();
    levels.sort_unstable();
    levels.dedup();
    complete.then_some(levels)
}

fn actions(field: Field<'_>, problems: &mut Problems) -> Option<Vec<Action>> {
    let list = field.list(THEN_FORM, problems)?;
    let words = Action::ALL.map(|action| (action.name(), action));
    let mut actions = Vec::with_capacity(list.len());
    for item in &list {
        let Some(action) = item.choice(&words, problems) else { continue };
        if actions.contains(&action) {
            item.wrong(format_args!("\"{action}\" is there twice; remove one of them"), problems);
        }
        actions.push(action);
    }
    (actions.len() == list.len()).then_some(actions)
}
