//! The questions, in their order: who you are at Twilio, what Twilio calls, where that leads, what may be spent, who is told.
//!
//! An answer comes from a flag, or from whoever is asked. A wrong flag ends it; a wrong answer is told and asked for again.

mod account;
mod spending;
mod webhooks;

use ringfence_model::Secret;

use super::Arguments;
use super::answers::{Answers, Kept};
use super::ask::Person;
use super::files::{self, Secrets, Target};
use super::service::Service;
use crate::exit::Failure;

pub(super) use account::TOKEN_VARIABLE;

/// One run of the questions.
pub(super) struct Interview<'a> {
    arguments: &'a Arguments,
    /// None where nobody is asked.
    person: Option<Person<'a>>,
    /// The auth token that stands where Twilio's own tools look for it.
    offered: Option<Secret>,
    pub(super) target: Target,
    pub(super) secrets: Secrets,
    /// It is a subaccount, whose webhooks alone are checked.
    only_checks: bool,
    /// What a person should know who was not asked.
    pub(super) notes: Vec<String>,
}

impl<'a> Interview<'a> {
    pub(super) fn new(
        arguments: &'a Arguments,
        target: Target,
        person: Option<Person<'a>>,
        offered: Option<Secret>,
    ) -> Self {
        let (secrets, notes) = (Secrets::default(), Vec::new());
        Self { arguments, person, offered, target, secrets, only_checks: false, notes }
    }

    /// All answers, each checked as far as it can be.
    pub(super) async fn hold(&mut self) -> Result<Answers, Failure> {
        let file = self.target.file().display().to_string();
        self.say(&format!(
            "This writes {file}. Each answer is checked at once. Nothing is written before the\nlast one, and nothing \
             is changed at Twilio. Enter takes what stands in [ ].\n"
        ));
        let known = self.account().await?;
        let subaccounts = self.subaccounts(&known)?;
        self.say("");
        let called = self.called()?;
        let tls = self.tls(&called)?;
        let gate = self.gate(&called, &tls);
        self.look_at_public_url(&called, &tls).await;
        let upstream = self.upstream(gate).await?;
        self.say("");
        let limit = self.limit(&known, subaccounts)?;
        let answers = Answers {
            account: known.sid,
            auth_token: known.kept,
            subaccounts,
            twilio: self.arguments.twilio.as_ref().map(ToString::to_string),
            called,
            tls,
            gate,
            admin: self.arguments.admin,
            upstream,
            writes_in: self.target.service().map(|_| Service::WRITES_IN),
            limit,
            mail: None,
        };
        if let Some(url) = answers.triggers_apart() {
            self.say(&format!(
                "  your proxy has to lead {url} to the gate too:\n  usage triggers at Twilio call it"
            ));
        }
        let answers = Box::pin(self.with_mail(answers)).await?;
        self.secrets.keep_only_of(&answers);
        let loaded = files::rehearse(&answers, &self.secrets, &self.target).map_err(Failure::from)?;
        for warning in &loaded.warnings {
            self.note(warning.text());
        }
        Ok(answers)
    }

    /// Shows what will be written, and asks whether it may be.
    pub(super) fn agree(&mut self, answers: &Answers) -> Result<(), Failure> {
        let Some(person) = &mut self.person else { return Ok(()) };
        let file = self.target.file().display();
        let mut files = vec![format!("  {file}: the configuration")];
        let password = answers.mail.as_ref().and_then(|mail| mail.login.as_ref()).map(|(_, kept)| kept);
        for (kept, what) in
            [(Some(&answers.auth_token), "the auth token"), (password, "the password of the mail server")]
        {
            if let Some(Kept::Beside(name)) = kept {
                files.push(format!("  {name} beside it: {what}"));
            }
        }
        person.tell(&format!("\nThis will be written, readable for {}:", self.target.readers()));
        person.tell(&files.join("\n"));
        if person.agrees("Write it?", true)? {
            return Ok(());
        }
        Err(Failure::refused("nothing was written"))
    }

    /// Where something that was typed is kept.
    fn keep(&mut self, name: &str, variable: &str, what: &str) -> Result<Kept, Failure> {
        let Some(person) = &mut self.person else { return self.target.beside(name).map(Kept::Beside) };
        loop {
            person.tell(&format!("Where is {what} kept?"));
            person.tell(&format!("  file: beside the configuration, readable for {}", self.target.readers()));
            person.tell(&format!(
                "  env:  in the variable {variable}, which you set for whatever runs Ringfence"
            ));
            match person.ask("file or env", Some("file"))?.to_ascii_lowercase().as_str() {
                "env" => return Ok(Kept::Env(variable.to_owned())),
                "file" => match self.target.beside(name) {
                    Ok(name) => return Ok(Kept::Beside(name)),
                    Err(failure) => person.tell_failure(&failure),
                },
                _ => person.tell("  type file or env"),
            }
        }
    }

    /// An answer that does: of a flag, else typed, else the default.
    fn settle<T>(
        &mut self,
        flag: &str,
        given: Option<&str>,
        question: &str,
        default: Option<&str>,
        read: impl Fn(&str) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(given) = given {
            return read(given).map_err(|failure| failure.about(flag));
        }
        let Some(person) = &mut self.person else {
            return read(default.unwrap_or_default()).map_err(|failure| failure.about(flag));
        };
        loop {
            match read(&person.ask(question, default)?) {
                Ok(answer) => return Ok(answer),
                Err(failure) => person.tell_failure(&failure),
            }
        }
    }

    /// Something that whoever answers likes to know.
    fn say(&mut self, text: &str) {
        if let Some(person) = &mut self.person {
            person.tell(text);
        }
    }

    fn tell_failure(&mut self, failure: &Failure) {
        if let Some(person) = &mut self.person {
            person.tell_failure(failure);
        }
    }

    /// Something that stops nothing and deserves a look.
    fn note(&mut self, text: &str) {
        match &mut self.person {
            Some(person) => person.tell(&format!("  warning: {text}")),
            None => self.notes.push(format!("warning: {text}")),
        }
    }
}
