//! Replacing an account's auth token without one refused webhook.
//!
//! Twilio lets an account have a second token, good for requests from its making on, and signs webhooks with the first until
//! the second is promoted; then the first is dead at once
//! (<https://www.twilio.com/docs/iam/api/authtoken>). So every node first takes over both: its gate verifies with either, and
//! whatever it asks Twilio it asks with the second one, which the promotion does not change. Only when all of them have said so
//! the second is promoted, and only when a gate saw a request that it signed the old one is forgotten.
//!
//! A rotation is a row of the store, and each call here does one step of it, so that whoever types the command again after it
//! was killed anywhere goes on. `decide` says which step is next, and is pure; `tokens` says who uses which token at each
//! step. What Twilio was asked and did not answer is found out: by trying both tokens, never by asking again.

mod decide;
mod tokens;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, Secret, Sid};
use ringfence_store::{self as store, Account, Rotation, RotationEnd, RotationStep, Store};
use ringfence_twilio::client::{self, CarriedOut, Inactive};

pub(crate) use self::decide::behind;
pub use self::decide::{LateNode, Waiting};
pub use self::tokens::{InUse, TokensOf};

use self::decide::{Next, next};
use crate::engine::{Clients, Engine};
use crate::notices::{Event, Notice, Operator, TokenStage};

/// A token that was replaced so lately is hardly meant to be replaced again: somebody goes on with a rotation that ended
/// meanwhile.
const RECENT: SignedDuration = SignedDuration::from_hours(24);

/// A promotion that was asked for so lately may still arrive.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_mins(1);

/// Reads which tokens are in use, and has these clients ask with them.
pub async fn take_over(store: &Store, clients: &Clients) -> store::Result<InUse> {
    let in_use = in_use(store, clients).await?;
    clients.ask_with(in_use.tokens.iter().map(|it| (it.account, it.ask.clone())).collect());
    Ok(in_use)
}

/// Reads which tokens are in use, by what these clients were configured with. It changes nothing.
pub async fn in_use(store: &Store, clients: &Clients) -> store::Result<InUse> {
    // First, so that what is read below is as new as it says.
    let generation = store.token_generation().await?;
    let (rotations, rotated) = (store.rotations().await?, store.rotated_tokens().await?);
    let mut configured = BTreeMap::new();
    if !(rotations.is_empty() && rotated.is_empty()) {
        for (known, _) in clients.configured() {
            let tag = store.token_tag(&known.auth_token).await?;
            configured.insert(known.sid, (known.auth_token.clone(), tag));
        }
    }
    Ok(tokens::in_use(generation, &configured, &rotations, &rotated))
}

/// What whoever rotates a token wants of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish<'a> {
    /// Why, for the audit log.
    pub reason: &'a str,
    /// It stops before the promotion, so that applications can be given the new token.
    pub holds: bool,
    /// The old token is forgotten although no request was seen that the new one signed.
    pub unconfirmed: bool,
    /// A second token that is there already, and is not ours, is deleted.
    pub replaces_second: bool,
    /// A token that was replaced lately is replaced once more.
    pub again: bool,
}

/// What one step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// A second token is there.
    Made,
    /// The second token that was there has been deleted by somebody else: another one is needed.
    Lost,
    /// The second token is the only one.
    Promoted,
    /// Nodes go back to the old token.
    Undoing,
    /// It cannot go on yet.
    Waits(Waiting),
    /// It has ended.
    Ended(RotationEnd),
}

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum NotRotated {
    /// No token of it is known here.
    #[error(
        "no auth token of {0} is known here: neither the configuration nor Twilio's list of accounts has one"
    )]
    NoToken(Sid),
    /// It was replaced lately.
    #[error("the token of {account} was replaced at {}, and no rotation is under way", .at.strftime("%Y-%m-%d %H:%M GMT"))]
    Recent {
        /// Whose.
        account: Sid,
        /// When.
        at: Timestamp,
    },
    /// A second token is there that nobody here made.
    #[error("{0} has a second auth token already, which Ringfence did not make")]
    HasSecond(Sid),
    /// A second token is there, and Twilio's answer to a request for one was lost.
    #[error(
        "{0} has a second auth token; since Twilio's answer was lost, nobody knows whether it is Ringfence's or somebody else's"
    )]
    SecondInDoubt(Sid),
    /// Twilio does not know the token that is to be replaced.
    #[error("Twilio refuses the auth token of {0} that is known here")]
    OldRefused(Sid),
    /// The account is suspended or closed, and then nothing is done with its own credentials.
    #[error("{0} is suspended or closed, and Twilio does nothing for such an account's own credentials")]
    Inactive(Sid),
    /// Neither of the two tokens works any more, and no other one that is known here.
    #[error(
        "Twilio refuses both the old and the new auth token of {0}: somebody else has replaced them, or it is suspended"
    )]
    NeitherWorks(Sid),
    /// Twilio does not take the token that it has just made.
    #[error("Twilio does not take the new token of {0} yet")]
    NotTakenYet(Sid),
    /// It is being taken back.
    #[error("the rotation of {0} is being undone")]
    BeingUndone(Sid),
    /// There is nothing to take back.
    #[error("no rotation of {0} is under way")]
    NotUnderWay(Sid),
    /// The old token is dead: nothing brings it back.
    #[error("the new token of {0} was promoted, and Twilio takes the old one no more")]
    Irreversible(Sid),
    /// The promotion was sent a moment ago.
    #[error("the promotion of {0} was sent less than a minute ago, and may still arrive")]
    OnItsWay(Sid),
    /// Somebody else carries it on at this moment.
    #[error("somebody else carries on the rotation of {0} at this moment")]
    Moved(Sid),
    /// Twilio did not do it, or did not say whether it did.
    #[error(transparent)]
    Twilio(#[from] client::Error),
    /// It could not be written down.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Whether Twilio takes a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Works {
    Yes,
    No,
}

impl Engine {
    /// Does the next step of an account's rotation; the first one begins it.
    pub async fn rotate(&self, account: Sid, by: &Actor, wish: &Wish<'_>) -> Result<Turn, NotRotated> {
        take_over(self.store(), self.clients()).await?;
        let Some(rotation) = self.store().rotation(account).await? else {
            return self.begin_rotation(account, by, wish).await;
        };
        let nodes = self.store().nodes().await?;
        match next(&rotation, &nodes, wish, self.now()) {
            Next::MakeAnother => self.make_another(&rotation, by, wish).await,
            Next::Try { new } => self.take(&rotation, new, by, wish).await,
            Next::Wait(waiting) => Ok(Turn::Waits(waiting)),
            Next::Promote { new } => self.promote(&rotation, &new, by, wish).await,
            Next::End(end) => self.end(&rotation, end, by, wish.reason).await,
            Next::Refuse => Err(NotRotated::BeingUndone(account)),
        }
    }

    /// Does the next step of taking a rotation back.
    pub async fn undo_rotation(&self, account: Sid, by: &Actor, reason: &str) -> Result<Turn, NotRotated> {
        take_over(self.store(), self.clients()).await?;
        let rotation = self.store().rotation(account).await?.ok_or(NotRotated::NotUnderWay(account))?;
        match &rotation.step {
            // No node has taken it over, and whoever still waits for Twilio's answer is told that it was moved.
            RotationStep::Asked { new: None } => {
                let rotation = self.moved(by, &rotation, rotation.step.clone()).await?;
                self.end(&rotation, RotationEnd::SecondLeft, by, reason).await
            }
            RotationStep::Asked { new: Some(_) } => {
                let rotation = self.moved(by, &rotation, rotation.step.clone()).await?;
                match self.delete_second(&rotation).await {
                    Err(NotRotated::OldRefused(_)) => self.let_go(&rotation, by, reason).await,
                    deleted => {
                        deleted?;
                        self.end(&rotation, RotationEnd::Undone, by, reason).await
                    }
                }
            }
            RotationStep::Made { new } => {
                self.moved(by, &rotation, RotationStep::Undoing { new: new.clone() }).await?;
                Ok(Turn::Undoing)
            }
            RotationStep::Promoting { new } => {
                if self.now().duration_since(rotation.since) < ON_ITS_WAY {
                    return Err(NotRotated::OnItsWay(account));
                }
                match (self.works(account, &rotation.old).await?, self.works(account, new).await?) {
                    (Works::Yes, _) => {}
                    (Works::No, Works::Yes) => return Err(NotRotated::Irreversible(account)),
                    (Works::No, Works::No) => return self.let_go(&rotation, by, reason).await,
                }
                self.moved(by, &rotation, RotationStep::Undoing { new: new.clone() }).await?;
                Ok(Turn::Undoing)
            }
            RotationStep::Promoted { new, .. } => match self.works(account, new).await? {
                Works::Yes => Err(NotRotated::Irreversible(account)),
                Works::No => self.let_go(&rotation, by, reason).await,
            },
            RotationStep::Undoing { new } => {
                let late = decide::late(&rotation, &self.store().nodes().await?);
                if !late.is_empty() {
                    return Ok(Turn::Waits(Waiting::Nodes(late)));
                }
                match (self.works(account, &rotation.old).await?, self.works(account, new).await?) {
                    (Works::Yes, Works::Yes) => self.delete_second(&rotation).await?,
                    // Whatever second one is there is somebody else's.
                    (Works::Yes, Works::No) => {}
                    (Works::No, Works::Yes) => {
                        let step = RotationStep::Promoting { new: new.clone() };
                        self.moved(by, &rotation, step).await?;
                        return Err(NotRotated::Irreversible(account));
                    }
                    (Works::No, Works::No) => return self.let_go(&rotation, by, reason).await,
                }
                self.end(&rotation, RotationEnd::Undone, by, reason).await
            }
        }
    }

    /// Ends the rotations whose new token has signed a request; says how many.
    pub async fn confirm_rotations(&self) -> store::Result<usize> {
        let by = Actor::job("token");
        let wish =
            Wish { reason: "", holds: false, unconfirmed: false, replaces_second: false, again: false };
        let mut ended = 0;
        for rotation in self.store().rotations().await? {
            let is_promoted = matches!(rotation.step, RotationStep::Promoted { .. });
            if let (true, Next::End(end)) = (is_promoted, next(&rotation, &[], &wish, self.now()))
                && self.store().end_rotation(&by, &rotation, end, self.now()).await?
            {
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Accounts whose configured token was replaced, so that this configuration is to be updated.
    pub async fn outdated_tokens(&self) -> store::Result<Vec<Sid>> {
        Ok(in_use(self.store(), self.clients()).await?.outdated)
    }

    /// The token that an account is asked with now, for whoever needs it: the new one while a rotation is under way.
    pub async fn token_in_use(&self, account: Sid) -> store::Result<Option<Secret>> {
        take_over(self.store(), self.clients()).await?;
        let known = self.store().find_account(account).await?;
        Ok(self.clients().token(account, known.as_ref().and_then(|known| known.auth_token.as_ref())))
    }

    /// The nodes that do not know yet that a rotation has ended.
    pub async fn late_nodes(&self, account: Sid) -> store::Result<Vec<LateNode>> {
        let rotated = self.store().rotated_tokens().await?;
        let generation = rotated.iter().find(|it| it.account == account).map_or(0, |it| it.generation);
        Ok(behind(generation, &self.store().nodes().await?))
    }

    async fn begin_rotation(&self, account: Sid, by: &Actor, wish: &Wish<'_>) -> Result<Turn, NotRotated> {
        let now = self.now();
        let rotated = self.store().rotated_tokens().await?;
        let last = rotated.iter().find(|it| it.account == account).map(|it| it.promoted_at);
        if let Some(at) = last.filter(|at| !wish.again && now.duration_since(*at) < RECENT) {
            return Err(NotRotated::Recent { account, at });
        }
        let known = self.store().find_account(account).await?;
        let listed = known.as_ref().and_then(|known| known.auth_token.as_ref());
        let old = self.clients().token(account, listed).ok_or(NotRotated::NoToken(account))?;
        let begun = self.store().begin_rotation(by, account, &old, wish.reason, now).await?;
        let rotation = begun.ok_or(NotRotated::Moved(account))?;
        if wish.replaces_second
            && let Err(error) = self.delete_second(&rotation).await
        {
            self.store().end_rotation(by, &rotation, RotationEnd::Undone, self.now()).await?;
            return Err(error);
        }
        match self.make(&rotation, by, wish).await {
            // Nothing was made, so there is nothing to find out.
            Err(error) if error.made_nothing() => {
                self.store().end_rotation(by, &rotation, RotationEnd::Undone, self.now()).await?;
                Err(error)
            }
            made => made,
        }
    }

    /// The answer to a request for a second token was lost. Twilio gives a token out once, so one that was made then is of no use
    /// to anybody; but whether the one that is there is that one or somebody else's, nobody can tell.
    async fn make_another(
        &self,
        rotation: &Rotation,
        by: &Actor,
        wish: &Wish<'_>,
    ) -> Result<Turn, NotRotated> {
        let rotation = self.moved(by, rotation, RotationStep::Asked { new: None }).await?;
        if wish.replaces_second {
            self.delete_second(&rotation).await?;
        }
        match self.make(&rotation, by, wish).await {
            Err(NotRotated::HasSecond(account)) => Err(NotRotated::SecondInDoubt(account)),
            made => made,
        }
    }

    async fn make(&self, rotation: &Rotation, by: &Actor, wish: &Wish<'_>) -> Result<Turn, NotRotated> {
        let account = rotation.account;
        let client = self.client(account, &rotation.old)?;
        let made = client.auth_tokens().create_secondary().await.map_err(|error| match error.status() {
            _ if error.inactive() == Some(Inactive::Certain) => NotRotated::Inactive(account),
            Some(401) => NotRotated::OldRefused(account),
            // Twilio's documents do not say how it refuses a third one.
            Some(400 | 409) => NotRotated::HasSecond(account),
            _ => error.into(),
        })?;
        let new = made.secondary_auth_token.ok_or(NotRotated::NotTakenYet(account))?;
        self.take(rotation, new, by, wish).await
    }

    /// Has nodes take the second token over, if Twilio takes it already. If not it is kept: Twilio gives it out once.
    async fn take(
        &self,
        rotation: &Rotation,
        new: Secret,
        by: &Actor,
        wish: &Wish<'_>,
    ) -> Result<Turn, NotRotated> {
        let account = rotation.account;
        let tried = self.works(account, &new).await;
        if let Ok(Works::Yes) = tried {
            self.moved(by, rotation, RotationStep::Made { new }).await?;
            self.tell_stage(account, TokenStage::Made, by, wish.reason).await?;
            return Ok(Turn::Made);
        }
        if rotation.step.new_token() != Some(&new) {
            self.moved(by, rotation, RotationStep::Asked { new: Some(new) }).await?;
        }
        Err(tried.err().unwrap_or(NotRotated::NotTakenYet(account)))
    }

    async fn promote(
        &self,
        rotation: &Rotation,
        new: &Secret,
        by: &Actor,
        wish: &Wish<'_>,
    ) -> Result<Turn, NotRotated> {
        let account = rotation.account;
        match (self.works(account, &rotation.old).await?, self.works(account, new).await?) {
            // It is done: its answer was lost, or somebody did it elsewhere.
            (Works::No, Works::Yes) => return self.promoted(rotation, new, by, wish).await,
            (Works::No, Works::No) => return Err(NotRotated::NeitherWorks(account)),
            (Works::Yes, Works::No) => {
                self.moved(by, rotation, RotationStep::Asked { new: None }).await?;
                return Ok(Turn::Lost);
            }
            (Works::Yes, Works::Yes) => {}
        }
        let rotation = self.moved(by, rotation, RotationStep::Promoting { new: new.clone() }).await?;
        let client = self.client(account, &rotation.old)?;
        match client.auth_tokens().promote().await {
            Ok(promoted) => {
                // Whatever it was that Twilio promoted is what it signs with now.
                let promoted = promoted.auth_token.unwrap_or_else(|| new.clone());
                self.promoted(&rotation, &promoted, by, wish).await
            }
            Err(error) => {
                if error.carried_out() == CarriedOut::No {
                    self.moved(by, &rotation, RotationStep::Made { new: new.clone() }).await?;
                }
                Err(error.into())
            }
        }
    }

    async fn promoted(
        &self,
        rotation: &Rotation,
        new: &Secret,
        by: &Actor,
        wish: &Wish<'_>,
    ) -> Result<Turn, NotRotated> {
        let account = rotation.account;
        let mut replaced = vec![self.store().token_tag(&rotation.old).await?];
        let configured = self.clients().configured().find(|(known, _)| known.sid == account);
        if let Some((known, _)) = configured.filter(|(known, _)| known.auth_token != *new) {
            replaced.push(self.store().token_tag(&known.auth_token).await?);
        }
        let moved = self.store().promoted_rotation(by, rotation, new, replaced, self.now()).await?;
        moved.ok_or(NotRotated::Moved(account))?;
        take_over(self.store(), self.clients()).await?;
        self.tell_stage(account, TokenStage::Promoted, by, wish.reason).await?;
        Ok(Turn::Promoted)
    }

    async fn end(
        &self,
        rotation: &Rotation,
        end: RotationEnd,
        by: &Actor,
        reason: &str,
    ) -> Result<Turn, NotRotated> {
        let account = rotation.account;
        if !self.store().end_rotation(by, rotation, end, self.now()).await? {
            return Err(NotRotated::Moved(account));
        }
        take_over(self.store(), self.clients()).await?;
        if end == RotationEnd::Undone {
            self.tell_stage(account, TokenStage::Undone, by, reason).await?;
        }
        Ok(Turn::Ended(end))
    }

    async fn moved(&self, by: &Actor, from: &Rotation, step: RotationStep) -> Result<Rotation, NotRotated> {
        let moved = self.store().move_rotation(by, from, step, self.now()).await?;
        take_over(self.store(), self.clients()).await?;
        moved.ok_or(NotRotated::Moved(from.account))
    }

    /// There is no second token after it, whether there was one or not.
    async fn delete_second(&self, rotation: &Rotation) -> Result<(), NotRotated> {
        let client = self.client(rotation.account, &rotation.old)?;
        match client.auth_tokens().delete_secondary().await {
            Ok(()) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) if error.inactive() == Some(Inactive::Certain) => {
                Err(NotRotated::Inactive(rotation.account))
            }
            Err(error) if error.status() == Some(401) => Err(NotRotated::OldRefused(rotation.account)),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends a rotation whose tokens Twilio refuses, if another one of the account works, so that nothing of it is needed.
    async fn let_go(&self, rotation: &Rotation, by: &Actor, reason: &str) -> Result<Turn, NotRotated> {
        let account = rotation.account;
        for token in self.other_tokens(rotation).await? {
            if self.works(account, &token).await? == Works::Yes {
                return self.end(rotation, RotationEnd::Superseded, by, reason).await;
            }
        }
        Err(match rotation.step.new_token() {
            Some(_) => NotRotated::NeitherWorks(account),
            None => NotRotated::OldRefused(account),
        })
    }

    /// What the configuration, Twilio's list, and its parent at this moment say that the token of the account is, if it is none
    /// of the rotation's.
    async fn other_tokens(&self, rotation: &Rotation) -> Result<Vec<Secret>, NotRotated> {
        let account = rotation.account;
        let mut configured = self.clients().configured().filter(|(known, _)| known.sid == account);
        let mut tokens: Vec<Secret> =
            configured.next().map(|(known, _)| known.auth_token.clone()).into_iter().collect();
        if let Some(known) = self.store().find_account(account).await? {
            if let Some(parent) = self.clients().parents(&known)
                && let Ok(shown) = parent.accounts().fetch(account).await
            {
                tokens.extend(shown.auth_token);
            }
            tokens.extend(known.auth_token);
        }
        tokens.retain(|token| *token != rotation.old && rotation.step.new_token() != Some(token));
        Ok(tokens)
    }

    async fn works(&self, account: Sid, token: &Secret) -> Result<Works, NotRotated> {
        match self.client(account, token)?.accounts().fetch(account).await {
            Ok(_) => Ok(Works::Yes),
            Err(error) if error.inactive() == Some(Inactive::Certain) => Err(NotRotated::Inactive(account)),
            Err(error) if error.status() == Some(401) => Ok(Works::No),
            Err(error) => Err(error.into()),
        }
    }

    fn client(&self, account: Sid, token: &Secret) -> Result<client::Client, NotRotated> {
        self.clients().with(account, token).ok_or(NotRotated::NoToken(account))
    }

    async fn tell_stage(
        &self,
        account: Sid,
        stage: TokenStage,
        by: &Actor,
        reason: &str,
    ) -> store::Result<()> {
        let known: Option<Account> = self.store().find_account(account).await?;
        let name = known.map(|known| known.friendly_name).unwrap_or_default();
        let operator = Operator { by: by.to_string(), reason: reason.to_owned() };
        let event =
            Event::TokenRotates { account: crate::notices::Account { sid: account, name }, stage, operator };
        self.tell(by, &Notice { at: self.now(), event }).await
    }
}

impl NotRotated {
    /// Whether it is certain that Twilio made no second token.
    fn made_nothing(&self) -> bool {
        match self {
            Self::Inactive(_) | Self::OldRefused(_) | Self::HasSecond(_) => true,
            Self::Twilio(error) => {
                error.operation == "auth_tokens.create_secondary" && error.carried_out() == CarriedOut::No
            }
            _ => false,
        }
    }

    /// Whether the same may be done some time later, without anybody doing anything about it.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Twilio(error) => error.is_transient(),
            Self::NotTakenYet(_) | Self::OnItsWay(_) | Self::Moved(_) => true,
            _ => false,
        }
    }
}
