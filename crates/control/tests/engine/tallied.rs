//! What is told of the egress: where each limit stands there, and whether one that only watches may act.

use ringfence_breaker::{Action, Limit, Per, Subject, Window};
use ringfence_control::views::{LedgerLine, PhaseName, ReportedLimit, Verdict};
use ringfence_model::{Actor, Amount, Sid};
use ringfence_store::{Admission, NewLimit, Sent};

use crate::ledger::{Money, TO};
use crate::node::fifty_a_day;

fn watching(per: Per) -> Limit {
    Limit { enforce: false, ..fifty_a_day(per, vec![]) }
}

async fn report(money: &Money) -> ReportedLimit {
    money.node.engine.views().report(None, true, None).await.expect("seen").limits.remove(0)
}

async fn lines(money: &Money) -> Vec<LedgerLine> {
    money.node.engine.views().ledger(Some(money.account), false).await.expect("seen").sums
}

fn amount(text: Option<&String>) -> Amount {
    text.expect("in one currency").parse().expect("an amount")
}

#[tokio::test]
async fn a_watching_limit_that_the_egress_would_have_passed_is_not_called_safe() {
    let money = Money::with(watching(Per::Account)).await;
    assert_eq!(report(&money).await.egress, None);
    // Before Twilio's figure was read nothing is known, and nothing is held against it.
    drop(money.admitted("9", TO).await);
    let early = report(&money).await;
    assert_eq!((early.verdict, early.egress.expect("counted").before_figures), (Verdict::TooEarly, 1));
    money.node.poll().await;
    drop(money.admitted("60", TO).await);
    drop(money.admitted("42", TO).await);
    let told = report(&money).await;
    assert_eq!(told.verdict, Verdict::WouldHaveStopped);
    let said = "it would have refused 2 of 2 requests, worth 102 USD at worst (1 only because others were still open)";
    assert!(told.summary.starts_with(said), "{}", told.summary);
    assert!(told.summary.contains("raise the limit, or enforce it"), "{}", told.summary);
    // The next day begins a report of its own.
    money.node.advance(24 * 3600).await;
    let views = money.node.engine.views();
    let later = views.report(None, false, Some(money.node.now())).await.expect("seen").limits.remove(0);
    assert_eq!((later.verdict, later.egress), (Verdict::TooEarly, None));
    let of_another = views.watched(Sid::new(*b"AC", 99)).await.expect("seen");
    assert_eq!(of_another, [], "what others sent is not told");
    let own = views.watched(money.account).await.expect("seen");
    assert_eq!(own[0].verdict, Verdict::WouldHaveStopped);
}

const A_DAY: u64 = 24 * 3600;

/// Twenty requests that cost next to nothing.
async fn twenty(money: &Money) {
    for _ in 0..20 {
        drop(money.admitted("0.01", TO).await);
    }
}

async fn is_early(money: &Money, why: &str) {
    let told = report(money).await;
    assert_eq!(told.verdict, Verdict::TooEarly, "{}", told.summary);
    assert!(told.summary.contains(why), "{}", told.summary);
    let own = money.node.engine.views().watched(money.account).await.expect("seen").remove(0);
    assert_eq!((own.verdict, own.summary), (told.verdict, told.summary));
}

async fn is_safe_since(money: &Money, day: &str) {
    let told = report(money).await;
    assert_eq!(told.verdict, Verdict::SafeToEnforce, "{}", told.summary);
    assert!(told.summary.ends_with(day), "{}", told.summary);
    let own = money.node.engine.views().watched(money.account).await.expect("seen").remove(0);
    assert_eq!((own.verdict, own.summary), (told.verdict, told.summary));
}

#[tokio::test]
async fn a_watching_limit_is_not_safe_while_requests_come_before_twilios_figures_are_read() {
    let money = Money::with(watching(Per::Account)).await;
    for _ in 0..4 {
        twenty(&money).await;
        money.node.advance(A_DAY).await;
    }
    let why = "80 requests came before Twilio’s figures were read, the last on 2026-03-04, and would have been refused";
    is_early(&money, why).await;
    money.node.advance(A_DAY).await;
    is_early(&money, "nothing came since 2026-03-01 that it can be judged by").await;
    money.node.poll().await;
    twenty(&money).await;
    money.node.advance(2 * A_DAY).await;
    is_safe_since(&money, "none of 20 requests since 2026-03-06").await;
}

#[tokio::test]
async fn a_watching_limit_is_safe_once_a_window_of_requests_fitted_and_a_minute_is_too_little() {
    let minute = Limit { window: Window::Minute, ..watching(Per::Account) };
    let money = Money::with(minute).await;
    twenty(&money).await;
    money.node.advance(A_DAY - 3600).await;
    is_early(&money, "none of 20 requests since 2026-03-01, but no whole day has passed").await;
    money.node.advance(A_DAY + 3600).await;
    is_safe_since(&money, "none of 20 requests since 2026-03-01").await;
}

#[tokio::test]
async fn a_watching_limit_is_not_safe_by_one_request_nor_by_days_on_which_none_came() {
    let money = Money::with(watching(Per::Account)).await;
    money.node.poll().await;
    money.node.advance(40 * A_DAY).await;
    drop(money.admitted("1", TO).await);
    money.node.advance(3 * A_DAY).await;
    is_early(&money, "none of 1 request since 2026-04-10, and 20 are wanted").await;
    twenty(&money).await;
    is_safe_since(&money, "none of 21 requests since 2026-04-10").await;
}

#[tokio::test]
async fn a_window_that_never_ends_is_watched_for_thirty_days() {
    let money = Money::with(Limit { window: Window::Alltime, ..watching(Per::Account) }).await;
    money.node.poll().await;
    twenty(&money).await;
    money.node.advance(29 * A_DAY).await;
    is_early(&money, "but 30 days have not passed").await;
    money.node.advance(2 * A_DAY).await;
    is_safe_since(&money, "since 2026-03-01").await;
}

#[tokio::test]
async fn what_another_rule_of_the_same_name_did_says_nothing_of_the_present_one() {
    let money = Money::with(watching(Per::Account)).await;
    let store = &money.node.store;
    let apply = async |hash: &str| {
        let limit = money.node.engine.limits()[0].clone();
        let new = NewLimit {
            name: limit.limit.name.clone(),
            definition: serde_json::json!(limit.limit),
            hash: hash.to_owned(),
            since: limit.since,
        };
        store.apply_limits(&Actor::job("test"), vec![new], money.node.now()).await.expect("applied");
    };
    money.node.poll().await;
    twenty(&money).await;
    money.node.advance(2 * A_DAY).await;
    is_safe_since(&money, "since 2026-03-01").await;
    apply("tighter").await;
    let told = report(&money).await;
    assert_eq!((told.verdict, told.egress), (Verdict::TooEarly, None), "{}", told.summary);
    assert_eq!(told.since, money.node.now());
    assert_eq!(money.node.engine.views().watched(money.account).await.expect("seen"), []);

    // The other way round: what the tighter one would have stopped, and did trip on, is not held against a wider one.
    money.node.poll().await;
    drop(money.admitted("60", TO).await);
    money.node.spend(money.account, "70").await;
    money.node.advance(3600).await;
    money.node.poll().await;
    let told = report(&money).await;
    assert_eq!((told.verdict, told.trips.len()), (Verdict::WouldHaveStopped, 1), "{}", told.summary);
    money.node.advance(60).await;
    apply("wider").await;
    let told = report(&money).await;
    assert_eq!(
        (told.verdict, told.trips.len(), told.egress),
        (Verdict::TooEarly, 0, None),
        "{}",
        told.summary
    );
}

#[tokio::test]
async fn a_report_tells_by_operation_how_far_the_price_book_was_off() {
    let money = Money::with(watching(Per::Account)).await;
    money.node.poll().await;
    for worst in ["0.10", "0.000001"] {
        let reservation = money.admitted(worst, TO).await;
        let sid = money.send(TO).await;
        money.node.store.sent(reservation, Sent::Made(Some(sid)), money.now()).await.expect("noted");
    }
    assert_eq!(report(&money).await.egress.expect("counted").price_book, None, "nothing is priced yet");
    money.node.advance(3600).await;
    money.reconcile().await;
    let egress = report(&money).await.egress.expect("counted");
    let [messages] = egress.operations.as_slice() else { panic!("{egress:?}") };
    assert_eq!((&*messages.operation, messages.priced, messages.under), ("messages.create", 2, 1));
    assert_eq!(messages.worst.as_deref(), Some("0.100001"));
    assert!(amount(messages.spent.as_ref()) > Amount::ZERO);
    assert_eq!(amount(messages.under_by.as_ref()).micros(), amount(messages.spent.as_ref()).micros() / 2 - 1);
    let said = egress.price_book.expect("words");
    assert!(said.contains("too low once of 2"), "{said}");
}

#[tokio::test]
async fn the_ledger_shows_what_the_next_request_would_find() {
    let money = Money::with(fifty_a_day(Per::Account, vec![Action::Notify])).await;
    let [line] = &*lines(&money).await else { panic!("one limit holds") };
    assert!(line.waits_for_figure);
    assert_eq!((&line.twilio, line.read_at, line.open), (&None, None, 0));
    money.node.spend(money.account, "12").await;
    money.node.advance(3600).await;
    money.node.poll().await;
    drop(money.admitted("8", TO).await);
    let [line] = &*lines(&money).await else { panic!("one limit holds") };
    assert_eq!((&*line.settled, &*line.adjusted, &*line.reserved, &*line.taken), ("0", "12", "8", "20"));
    let texts = (line.admits_up_to.as_deref(), line.left.as_deref(), line.percent);
    assert_eq!(texts, (Some("50"), Some("30"), Some(40)));
    assert_eq!((line.twilio.as_deref(), line.read_at), (Some("12"), Some(money.node.now())));
    assert_eq!((line.open, line.phase, line.waits_for_figure), (1, PhaseName::Passing, false));
    assert_eq!(line.currency.as_deref(), Some("USD"));
    assert!(matches!(money.admit("31", TO).await, Admission::Refused(_)), "no more than what is left");
    let refused = report(&money).await;
    assert!(refused.summary.contains("it has refused 1 request, worth 31 USD"), "{}", refused.summary);

    // The status has it beside the limit, of those that are nearest to it.
    let status = money.node.engine.views().status().await.expect("seen");
    assert_eq!((&status.limits[0].sums, status.limits[0].left_out), (&lines(&money).await, 0));
    assert_eq!(status.limits[0].wait_for_figure, 0);

    let by = Actor::CommandLine("ops".to_owned());
    let subject = Subject::Account(money.account);
    money.node.engine.trip("fifty a day", subject, &by, "leak").await.expect("tripped");
    let [line] = &*lines(&money).await else { panic!("one limit holds") };
    assert_eq!((line.phase, line.stops), (PhaseName::Tripped, true));
    // Another epoch waits for another figure.
    money.node.store.new_epoch(&by, "a dump was restored", money.node.now()).await.expect("begun");
    let [line] = &*lines(&money).await else { panic!("one limit holds") };
    assert!(line.waits_for_figure);
    assert_eq!((&line.twilio, line.read_at), (&None, None));
    let status = money.node.engine.views().status().await.expect("seen");
    assert_eq!(status.limits[0].wait_for_figure, 1);
}

#[tokio::test]
async fn a_sum_of_all_is_shown_to_those_who_may_see_the_others() {
    let money = Money::with(fifty_a_day(Per::Together, vec![Action::Notify])).await;
    assert_eq!(lines(&money).await, []);
    let views = money.node.engine.views();
    for (account, shared) in [(Some(money.account), true), (None, false)] {
        let lines = views.ledger(account, shared).await.expect("seen").sums;
        assert_eq!(lines.len(), 1);
        assert_eq!((&*lines[0].subject, &lines[0].account), ("together", &None));
    }
    assert!(views.ledger(Some(Sid::new(*b"AC", 99)), true).await.is_err());
}
