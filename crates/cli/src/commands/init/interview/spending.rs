//! What may be spent in a day, and who is told.

use super::Interview;
use super::account::Known;
use crate::commands::init::answers::{self, Answers, Called, Kept, Limit, Mail, Of};
use crate::commands::init::{files, probe};
use crate::commands::token_argument;
use crate::exit::Failure;

impl Interview<'_> {
    pub(super) fn limit(&mut self, known: &Known, of_subaccounts: bool) -> Result<Option<Limit>, Failure> {
        if self.arguments.no_limit || self.only_checks {
            return Ok(None);
        }
        let currency = known.found.as_ref().and_then(|found| found.currency.clone());
        let whose = if of_subaccounts { "each subaccount" } else { "the account" };
        let in_what = currency.as_ref().map_or_else(|| "in its currency".to_owned(), |it| format!("in {it}"));
        let question = format!("The most that {whose} may spend in a day, {in_what} (empty: no limit)");
        let given = self.arguments.limit.as_deref();
        let read = if given.is_some() { answers::said_amount } else { answers::amount };
        let Some(at) = self.settle("--limit", given, &question, None, read)? else {
            self.say("  no limit: webhooks are checked, and what is spent is not");
            return Ok(None);
        };
        if !of_subaccounts && self.arguments.limit_together.is_some() {
            return Err(Failure::usage(
                "--limit-together: no subaccounts are held to a limit, so there is no sum",
            )
            .hint("leave it away, or find the subaccounts with --subaccounts"));
        }
        if !of_subaccounts {
            self.say_what_is_done_with_a_parent();
            return Ok(Some(Limit { of: Of::Account, at, currency }));
        }
        let default = answers::ten_times(&at);
        let given = self.arguments.limit_together.as_deref();
        let question = "The most that all of them together may spend in a day";
        let together = self.settle("--limit-together", given, question, Some(&default), |text| {
            answers::together(text, &at)
        })?;
        self.say(&format!("  The parent itself may spend {at} in a day too, beside its subaccounts."));
        self.say_what_is_done_with_a_parent();
        Ok(Some(Limit { of: Of::Subaccounts { together }, at, currency }))
    }

    fn say_what_is_done_with_a_parent(&mut self) {
        self.say("  Twilio suspends no parent account, so a trip ends its calls, cancels what is queued,");
        self.say("  and closes countries to calls and texts");
    }

    /// With who is told of a limit, once the mail server has said that it takes mail.
    pub(super) async fn with_mail(&mut self, answers: Answers) -> Result<Answers, Failure> {
        let is_given = self.arguments.smtp.is_some();
        if answers.limit.is_none() {
            if is_given {
                return Err(Failure::usage("without a limit there is nothing to tell by mail")
                    .hint("add --limit AMOUNT, or leave --mail-to and --smtp away"));
            }
            return Ok(answers);
        }
        // What is wrong without a mail server is wrong for another reason, and no answer about mail would mend it.
        files::rehearse(&answers, &self.secrets, &self.target).map_err(Failure::from)?;
        let mut last = None;
        loop {
            let mail = self.mail(&answers.called, last.take())?;
            let Some(mail) = mail else {
                self.note("nobody is told when a limit trips; [notify] in the configuration says who is");
                return Ok(answers);
            };
            let with_mail = Answers { mail: Some(mail), ..answers.clone() };
            let failure = match files::rehearse(&with_mail, &self.secrets, &self.target) {
                Ok(_) if self.arguments.offline => return Ok(with_mail),
                Ok(loaded) => match probe::mail(&loaded).await {
                    Ok(()) => {
                        self.say("  the mail server takes mail");
                        return Ok(with_mail);
                    }
                    Err(failure) => failure,
                },
                Err(error) => Failure::from(error),
            };
            let Some(person) = self.person.as_mut().filter(|_| !is_given) else { return Err(failure) };
            person.tell_failure(&failure);
            let question = "Once more? (no: take it as it is, unchecked)";
            if failure.is_unavailable() && !person.agrees(question, true)? {
                return Ok(with_mail);
            }
            last = with_mail.mail;
        }
    }

    /// Who is mailed by which server; the server that was answered last is the one to begin with.
    fn mail(&mut self, called: &Called, last: Option<Mail>) -> Result<Option<Mail>, Failure> {
        let arguments = self.arguments;
        let to = if arguments.mail_to.is_empty() {
            let question =
                "Who is mailed when a limit is near or trips (commas between several; empty: nobody)";
            self.settle("--mail-to", None, question, Some(""), addresses)?
        } else {
            let said = addresses(&arguments.mail_to.join(",")).map_err(|it| it.about("--mail-to"))?;
            if said.is_empty() {
                return Err(Failure::usage("--mail-to: there is no address in it")
                    .hint("say one, such as --mail-to ops@example.com, or leave --mail-to and --smtp away"));
            }
            said
        };
        if to.is_empty() {
            return Ok(None);
        }
        let given = arguments.smtp.as_deref();
        let (server, sender) = last.map(|last| (last.smtp, last.from)).unzip();
        let server = server.unwrap_or_else(|| "smtp://localhost:25".to_owned());
        let smtp = self.settle("--smtp", given, "Mail server", Some(&server), answers::smtp)?;
        let host = called.host_and_port().map(|(host, _)| host).unwrap_or_default();
        let is_name = host.contains('.') && !host.starts_with(|first: char| first.is_ascii_digit());
        let own = || format!("ringfence@{}", if is_name { &host } else { "localhost" });
        let from = sender.unwrap_or_else(own);
        let given = arguments.mail_from.as_deref();
        let from = self.settle("--mail-from", given, "From", Some(&from), answers::mail_address)?;
        let login = self.login()?;
        Ok(Some(Mail { smtp, from, to, login }))
    }

    /// Whom the mail server knows, if it asks.
    fn login(&mut self) -> Result<Option<(String, Kept)>, Failure> {
        const VARIABLE: &str = "SMTP_PASSWORD";
        let arguments = self.arguments;
        if let Some(user) = &arguments.smtp_user {
            if user.is_empty() {
                return Err(Failure::usage("--smtp-user: there is no name in it")
                    .hint("say one, or leave --smtp-user away where the server asks for none"));
            }
            let kept = match (&arguments.smtp_password_env, &arguments.smtp_password_file) {
                (Some(name), _) => {
                    let kept =
                        Kept::Env(answers::variable(name).map_err(|it| it.about("--smtp-password-env"))?);
                    self.secrets.keep(&kept, token_argument::of_environment(name)?);
                    kept
                }
                (None, Some(path)) => {
                    token_argument::of_file(path)?;
                    Kept::File(self.target.seen_from_here(path)?)
                }
                (None, None) => {
                    return Err(Failure::usage("--smtp-user: a user has a password")
                        .hint("add --smtp-password-env NAME or --smtp-password-file FILE"));
                }
            };
            return Ok(Some((user.clone(), kept)));
        }
        let Some(person) = self.person.as_mut().filter(|_| arguments.smtp.is_none()) else { return Ok(None) };
        let user = person.ask("User that it asks for (empty: none)", None)?;
        if user.is_empty() {
            return Ok(None);
        }
        let password = loop {
            let password = person.ask_hidden("Its password (it is not shown)")?;
            if !password.is_empty() {
                break password;
            }
        };
        let kept = self.keep(files::PASSWORD, VARIABLE, "the password")?;
        self.secrets.keep(&kept, password);
        Ok(Some((user, kept)))
    }
}

/// Addresses with commas between them.
fn addresses(text: &str) -> Result<Vec<String>, Failure> {
    text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(answers::mail_address).collect()
}
