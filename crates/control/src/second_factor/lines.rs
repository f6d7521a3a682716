//! What kind of line a code would go to: Twilio's Lookup is asked before the first code goes to a number of a user, where the
//! configuration says which lines get none.
//!
//! Each question costs something and is asked on anybody's word. So it is asked only for a code that would be sent, and once
//! for all who ask of a number at the same time; it counts in budgets as large as those of the codes; where limits stand
//! before codes its price is set aside under them; and what was answered is kept. A landline is refused texts alone: it can be called
//! (<https://www.twilio.com/docs/api/errors/60205>).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::charge::{Lookup, LookupVersion};
use ringfence_breaker::price_book::PriceBook;
use ringfence_model::{Actor, PhoneNumber, Sid};
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::pumping::{self, Of, Scope};
use ringfence_store::{Error as StoreError, LINES_BELIEVED_FOR, NewChallenge, NotSent, Result, Sent};
use ringfence_twilio::client::CarriedOut;
use ringfence_twilio::wire::LineType;
use tokio::sync::OnceCell;

use super::{SecondFactor, Started};
use crate::engine::{NotSetAside, OwnRequest, SetAside};

/// Whoever waits for a code waits no longer than this for Lookup.
const PATIENCE: Duration = Duration::from_secs(3);

/// Until when what was set aside for a question is open and not in doubt.
const OPEN_FOR: SignedDuration = SignedDuration::from_mins(1);

/// What is kept of a number that Lookup says is nobody's.
const NOBODY: &str = "nobody";

/// What Lookup is asked for.
const PACKAGE: &str = "line_type_intelligence";

/// Which lines get no codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// These.
    pub refused: Vec<LineType>,
    /// Whether codes go out while Lookup does not answer.
    pub send_while_away: bool,
}

impl Lines {
    /// Why a line gets no code this way, if it does not.
    fn refuse(&self, line: &str, channel: Channel) -> Option<NotSent> {
        if line == NOBODY {
            return Some(NotSent::Country);
        }
        let line = LineType::from(line);
        if !self.refused.contains(&line) {
            return None;
        }
        match (line, channel) {
            (LineType::Landline, Channel::Call) => None,
            (LineType::Landline, Channel::Sms) => Some(NotSent::Landline),
            _ => Some(NotSent::Line),
        }
    }
}

/// What became of a question.
#[derive(Debug, Clone)]
enum Answer {
    /// This line, in Lookup's word.
    Line(String),
    /// None came.
    None,
    /// It was not asked, since its price cannot be set aside.
    Not(NotSetAside),
}

/// Why somebody may not ask; the next one may.
enum NotAsked {
    Store(StoreError),
    UsedUp(NotSent),
}

impl From<StoreError> for NotAsked {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The numbers that this node asks of at the moment. Whoever comes meanwhile waits for the same answer.
#[derive(Debug, Default)]
pub(crate) struct Questions(Mutex<HashMap<PhoneNumber, Weak<OnceCell<Answer>>>>);

impl Questions {
    fn of(&self, number: PhoneNumber) -> Arc<OnceCell<Answer>> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|_, question| question.strong_count() > 0);
        let question = under_way.get(&number).and_then(Weak::upgrade).unwrap_or_default();
        under_way.insert(number, Arc::downgrade(&question));
        question
    }
}

impl SecondFactor<'_> {
    /// What becomes of a start because of the line that it would go to, if something does.
    pub(super) async fn refused_by_line(&self, by: &Actor, new: &NewChallenge) -> Result<Option<Started>> {
        let Some(lines) = &self.settings.lines else { return Ok(None) };
        let (store, now) = (self.store(), self.now());
        let refuse = |line: &str| lines.refuse(line, new.channel).map(Started::Not);
        let unknown = || (!lines.send_while_away).then_some(Started::Not(NotSent::LineUnknown));
        if let Some(line) = store.line_type(new.number, believed_since(now)).await? {
            return Ok(refuse(&line));
        }
        // What is refused anyway costs no question.
        if let Some(not) = store.would_not_begin(by, new.clone(), now).await? {
            return Ok(Some(Started::Not(not)));
        }
        let question = self.engine.questions.of(new.number);
        match question.get_or_try_init(|| self.ask_once(new, now)).await {
            Ok(Answer::Line(line)) => Ok(refuse(line)),
            // Of a number that was asked of so often nobody answered, or its answer would be there.
            Ok(Answer::None) | Err(NotAsked::UsedUp(NotSent::Budget(Of::Number, _))) => Ok(unknown()),
            Ok(Answer::Not(why)) => Ok(Some(Started::NotSetAside(why.clone()))),
            // Of what all share, as when nobody answers: whoever uses up the questions keeps nobody else from a code.
            Err(NotAsked::UsedUp(NotSent::Budget(Of::Prefix | Of::Country | Of::Total, _)))
                if lines.send_while_away =>
            {
                Ok(None)
            }
            Err(NotAsked::UsedUp(not)) => Ok(Some(Started::Not(not))),
            Err(NotAsked::Store(error)) => Err(error),
        }
    }

    /// Asks of a number for all who wait for the answer, which is kept.
    async fn ask_once(&self, new: &NewChallenge, now: Timestamp) -> std::result::Result<Answer, NotAsked> {
        // Somebody may have asked a moment ago.
        if let Some(line) = self.store().line_type(new.number, believed_since(now)).await? {
            return Ok(Answer::Line(line));
        }
        if let Some(not) = self.may_not_ask(new, now).await? {
            return Err(NotAsked::UsedUp(not));
        }
        let answer = self.ask_line(new.number).await?;
        if let Answer::Line(line) = &answer {
            self.store().keep_line_type(new.number, line, now).await?;
        }
        Ok(answer)
    }

    /// Why nobody is asked any more for now: whoever asks for codes to ever new numbers gets no more questions than codes.
    async fn may_not_ask(&self, new: &NewChallenge, now: Timestamp) -> Result<Option<NotSent>> {
        let Some(country) = pumping::allowed_country(&new.limits, new.number) else {
            return Ok(Some(NotSent::Country));
        };
        let keys = self.store().factor_keys().await?;
        let scope = Scope::Application(&new.expected.application);
        let mut budgets =
            pumping::budgets(&new.limits, scope, new.number, country, &new.asker, &keys.tags, now);
        budgets.extend(new.own_budgets.iter().cloned());
        for budget in &mut budgets {
            budget.key = format!("lookup/{}", budget.key);
        }
        let used_up = self.store().take_budgets(budgets).await?;
        Ok(used_up.map(|used_up| NotSent::Budget(used_up.of, used_up.ends_at)))
    }

    async fn ask_line(&self, number: PhoneNumber) -> Result<Answer> {
        let account: Sid = self.settings.account;
        let Some(client) = self.engine.clients().of(account) else {
            return Ok(none(&format!("there are no credentials of {account}")));
        };
        let charge = |book: &PriceBook| Lookup { version: LookupVersion::V2, packages: PACKAGE }.charge(book);
        let request = OwnRequest {
            account,
            operation: "lookups.fetch",
            charge: &charge,
            to: number,
            from: "",
            patience: OPEN_FOR,
            is_counted: false,
        };
        let reserved = match self.engine.set_aside(&request).await? {
            SetAside::NotNeeded => None,
            SetAside::Reserved(reservation) => Some(reservation),
            SetAside::Not(why) => return Ok(Answer::Not(why)),
        };
        let answer = tokio::time::timeout(PATIENCE, client.lookups().line_type(number)).await;
        let sent = match &answer {
            Ok(Ok(_)) => Sent::Made(None),
            Ok(Err(error)) if error.carried_out() == CarriedOut::No => Sent::Nothing,
            Ok(Err(_)) | Err(_) => Sent::InDoubt,
        };
        if let Some(reservation) = reserved {
            self.engine.answer_for(reservation, sent).await?;
        }
        Ok(match answer {
            Err(_) => none("it takes too long"),
            Ok(Err(error)) => none(&error.to_string()),
            Ok(Ok(looked_up)) if !looked_up.valid => Answer::Line(NOBODY.to_owned()),
            Ok(Ok(looked_up)) => match looked_up.line_type_intelligence {
                Some(line) if line.error_code.is_some() => {
                    none(&format!("it has no answer (error {})", line.error_code.unwrap_or_default()))
                }
                Some(line) => Answer::Line(line.line_type.unwrap_or(LineType::Unknown).as_str().to_owned()),
                None => none("its answer has no line in it"),
            },
        })
    }
}

/// No answer, for this reason.
fn none(why: &str) -> Answer {
    tracing::warn!(why, "Lookup does not say what kind of line a number is");
    Answer::None
}

/// Since when what was answered is believed.
fn believed_since(now: Timestamp) -> Timestamp {
    now.saturating_sub(LINES_BELIEVED_FOR).unwrap_or(Timestamp::MIN)
}
