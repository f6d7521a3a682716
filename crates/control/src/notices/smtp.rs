//! Mail: one text to one recipient over SMTP, by `lettre`.
//!
//! Its connection is used, and not its transport, so that each step is known by its failure: a server that cannot be
//! reached, TLS that fails, credentials that are refused and a recipient that does not exist are told apart.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Message, transport::smtp::Error};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::channel::Outcome;
use super::letter::Letter;
use super::line_stream::LineStream;
use super::notice::{Notice, short_hash};
use super::render;
use super::settings::{Encryption, MailSettings, SettingsProblem};
use super::text::{Desk, one_line, said};

/// Sends mail by one server.
pub(super) struct Mailer {
    settings: MailSettings,
    tls: Option<TlsParameters>,
    timeout: Duration,
}

/// Why no mail can be sent, or this one could not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SmtpProblem {
    /// No connection could be made, or it broke.
    #[error("the mail server {server} cannot be reached: {why}")]
    Unreachable {
        /// Host and port.
        server: String,
        /// What the system said.
        why: String,
    },
    /// TLS failed: a certificate that is not trusted or for another name, or no TLS where it should be.
    #[error("TLS with the mail server {server} fails: {why}")]
    Tls {
        /// Host and port.
        server: String,
        /// What TLS said.
        why: String,
    },
    /// The server does not offer STARTTLS, so nothing was sent.
    #[error(
        "the mail server {server} offers no STARTTLS: write smtps:// if it has a port for TLS, or leave ?starttls out where the network is yours"
    )]
    NoStartTls {
        /// Host and port.
        server: String,
    },
    /// What answers speaks no SMTP.
    #[error("{server} does not speak SMTP as it should: {why}")]
    NotSmtp {
        /// Host and port.
        server: String,
        /// What is wrong.
        why: String,
    },
    /// User or password is wrong.
    #[error("the mail server {server} refuses user or password ({code})")]
    Credentials {
        /// Host and port.
        server: String,
        /// SMTP's reply code.
        code: u16,
    },
    /// The server takes no user and password, or only in ways that are not safe or not known here.
    #[error("the mail server {server} takes no user and password here (AUTH PLAIN or LOGIN)")]
    NoAuth {
        /// Host and port.
        server: String,
    },
    /// The server said no.
    #[error("the mail server {server} refuses {step}: {code} {said}")]
    Refused {
        /// Host and port.
        server: String,
        /// At which step.
        step: SmtpStep,
        /// SMTP's reply code.
        code: u16,
        /// What it said, without what may be a number or a token.
        said: String,
    },
    /// The server took too long.
    #[error("the mail server {server} did not answer {step} in time")]
    TooSlow {
        /// Host and port.
        server: String,
        /// At which step.
        step: SmtpStep,
    },
    /// The mail cannot be written.
    #[error("the mail cannot be written: {0}")]
    Unwritable(String),
}

/// What is done with a mail server, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpStep {
    /// TCP, TLS where it comes first, the greeting, `EHLO`.
    Connection,
    /// `STARTTLS`, the handshake, `EHLO` again.
    StartTls,
    /// `AUTH`.
    Credentials,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`.
    Text,
}

impl Mailer {
    pub(super) fn new(
        settings: MailSettings,
        extra_roots: &[CertificateDer<'static>],
        timeout: Duration,
    ) -> Result<Self, SettingsProblem> {
        let tls = match settings.server.encryption {
            Encryption::None => None,
            Encryption::Implicit | Encryption::StartTls => {
                Some(tls(&settings.server.host, extra_roots).map_err(|error| SettingsProblem {
                    key: "authorities",
                    what: format!("TLS cannot be set up with these authorities: {error}"),
                })?)
            }
        };
        Ok(Self { settings, tls, timeout })
    }

    pub(super) fn address(&self, index: usize) -> Option<&str> {
        self.settings.to.get(index).map(|mailbox| mailbox.email.as_ref())
    }

    pub(super) async fn deliver(
        &self,
        notice: &Notice,
        index: usize,
        desk: &Desk,
        now: Timestamp,
    ) -> Outcome {
        let Some(to) = self.settings.to.get(index) else {
            return Outcome::Refused("[notify] does not name this recipient any more".to_owned());
        };
        let sent = match self.message(notice, to, desk, now) {
            Ok(message) => self.send(&message, to).await,
            Err(problem) => Err(problem),
        };
        outcome(sent)
    }

    /// Mails a letter to whom it is for.
    pub(super) async fn post(&self, letter: &Letter, desk: &Desk, now: Timestamp) -> Outcome {
        let Ok(address) = letter.to.parse() else {
            return Outcome::Refused("no mail can be sent to this login".to_owned());
        };
        let to = Mailbox::new(None, address);
        let sent = match self.letter(letter, &to, desk, now) {
            Ok(message) => self.send(&message, &to).await,
            Err(problem) => Err(problem),
        };
        outcome(sent)
    }

    /// Connects, encrypts, signs in, and leaves.
    pub(super) async fn probe(&self) -> Result<(), SmtpProblem> {
        let connection = self.open(Instant::now() + self.timeout).await?;
        leave(connection).await;
        Ok(())
    }

    async fn send(&self, message: &Message, to: &Mailbox) -> Result<(), SmtpProblem> {
        let text = message.formatted();
        let deadline = Instant::now() + self.timeout;
        let mut connection = self.open(deadline).await?;
        let from = Some(self.settings.from.email.clone());
        self.step(SmtpStep::Sender, deadline, connection.command(Mail::new(from, Vec::new()))).await?;
        self.step(SmtpStep::Recipient, deadline, connection.command(Rcpt::new(to.email.clone(), Vec::new())))
            .await?;
        self.step(SmtpStep::Text, deadline, connection.command(Data)).await?;
        self.step(SmtpStep::Text, deadline, connection.message(&text)).await?;
        leave(connection).await;
        Ok(())
    }

    /// A connection that is encrypted and signed in as the settings want it.
    async fn open(&self, deadline: Instant) -> Result<AsyncSmtpConnection, SmtpProblem> {
        let server = &self.settings.server;
        let hello = ClientId::Domain(server.hello.clone());
        let address = (server.host.as_str(), server.port);
        let mut connection = if let (Encryption::Implicit, Some(tls)) = (server.encryption, &self.tls) {
            let tls = Some(tls.clone());
            let connecting =
                AsyncSmtpConnection::connect_tokio1(address, Some(self.timeout), &hello, tls, None);
            self.step(SmtpStep::Connection, deadline, connecting).await?
        } else {
            let stream = Box::new(LineStream::new(self.connect(deadline).await?));
            let greeting = AsyncSmtpConnection::connect_with_transport(stream, &hello);
            self.step(SmtpStep::Connection, deadline, greeting).await?
        };
        if let (Encryption::StartTls, Some(tls)) = (server.encryption, &self.tls) {
            if !connection.can_starttls() {
                leave(connection).await;
                return Err(SmtpProblem::NoStartTls { server: self.name() });
            }
            self.step(SmtpStep::StartTls, deadline, connection.starttls(tls.clone(), &hello)).await?;
        }
        if let Some((user, password)) = &server.credentials {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            self.step(SmtpStep::Credentials, deadline, connection.auth(&mechanisms, &credentials)).await?;
        }
        Ok(connection)
    }

    async fn connect(&self, deadline: Instant) -> Result<TcpStream, SmtpProblem> {
        let address = (self.settings.server.host.as_str(), self.settings.server.port);
        match timeout_at(deadline, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(SmtpProblem::Unreachable { server: self.name(), why: error.to_string() }),
            Err(_) => Err(SmtpProblem::TooSlow { server: self.name(), step: SmtpStep::Connection }),
        }
    }

    async fn step<T>(
        &self,
        step: SmtpStep,
        deadline: Instant,
        doing: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, SmtpProblem> {
        match timeout_at(deadline, doing).await {
            Ok(done) => done.map_err(|error| self.problem(step, &error)),
            Err(_) => Err(SmtpProblem::TooSlow { server: self.name(), step }),
        }
    }

    fn problem(&self, step: SmtpStep, error: &Error) -> SmtpProblem {
        let server = self.name();
        let why = one_line(&innermost(error), 160);
        if let Some(code) = error.status().map(u16::from) {
            return match (step, code) {
                (SmtpStep::Credentials, 500..) => SmtpProblem::Credentials { server, code },
                // What a server says about credentials may repeat them.
                (SmtpStep::Credentials, _) => {
                    SmtpProblem::Refused { server, step, code, said: String::new() }
                }
                _ => SmtpProblem::Refused { server, step, code, said: said(&why) },
            };
        }
        if error.is_client() {
            return if step == SmtpStep::Credentials {
                SmtpProblem::NoAuth { server }
            } else {
                SmtpProblem::NotSmtp { server, why }
            };
        }
        if error.is_response() {
            // The words of lettre's parser say nothing to people.
            let ended = why == "incomplete response";
            let why =
                if ended { "it ends the connection without an answer" } else { "its answer is none of SMTP" };
            return SmtpProblem::NotSmtp { server, why: why.to_owned() };
        }
        let is_encrypting = step == SmtpStep::StartTls
            || (step == SmtpStep::Connection && self.settings.server.encryption == Encryption::Implicit);
        if error.is_tls() || (is_encrypting && is_about_tls(error)) {
            return SmtpProblem::Tls { server, why };
        }
        SmtpProblem::Unreachable { server, why }
    }

    fn name(&self) -> String {
        let server = &self.settings.server;
        if server.host.contains(':') {
            format!("[{}]:{}", server.host, server.port)
        } else {
            format!("{}:{}", server.host, server.port)
        }
    }

    /// RFC 5322: what others chose stands in the subject and the text only, in one line or encoded.
    fn message(
        &self,
        notice: &Notice,
        to: &Mailbox,
        desk: &Desk,
        now: Timestamp,
    ) -> Result<Message, SmtpProblem> {
        let domain = self.settings.from.email.domain();
        // The same mail again has the same name, so that a program which has it already can tell.
        let id = format!("<{}.{}@{domain}>", notice.id(), &short_hash(to.email.as_ref())[..8]);
        let mut message = Message::builder()
            .from(self.settings.from.clone())
            .subject(render::subject(notice, desk))
            .date(system_time(now))
            .message_id(Some(id))
            // RFC 3834: nobody's holiday should answer.
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("X-Ringfence-Notice", notice.event.kind()))
            .raw_header(header("X-Ringfence-Severity", notice.severity().name()));
        for mailbox in &self.settings.to {
            message = message.to(mailbox.clone());
        }
        let text = SinglePart::plain(render::mail_text(notice, desk));
        message.singlepart(text).map_err(|error| SmtpProblem::Unwritable(error.to_string()))
    }

    /// To one person alone, whose address nobody else sees.
    fn letter(
        &self,
        letter: &Letter,
        to: &Mailbox,
        desk: &Desk,
        now: Timestamp,
    ) -> Result<Message, SmtpProblem> {
        let subject = match desk.installation.as_str() {
            "" => format!("[Ringfence] {}", letter.subject),
            installation => format!("[Ringfence {installation}] {}", letter.subject),
        };
        let message = Message::builder()
            .from(self.settings.from.clone())
            .to(to.clone())
            .subject(one_line(&subject, 200))
            .date(system_time(now))
            .raw_header(header("Auto-Submitted", "auto-generated"));
        let text = SinglePart::plain(letter.text.clone());
        message.singlepart(text).map_err(|error| SmtpProblem::Unwritable(error.to_string()))
    }
}

fn outcome(sent: Result<(), SmtpProblem>) -> Outcome {
    match sent {
        Ok(()) => Outcome::Delivered,
        Err(problem) if problem.is_final() => Outcome::Refused(problem.to_string()),
        Err(problem) => Outcome::TryLater(problem.to_string()),
    }
}

impl SmtpProblem {
    /// Whether the same mail to the same recipient is refused for ever. Servers, networks and passwords change; a
    /// permanent answer (5yz, RFC 5321, 4.2.1) to a sender, a recipient or a text stays. Not to credentials, which 530
    /// asks for.
    const fn is_final(&self) -> bool {
        match self {
            Self::Refused { step: SmtpStep::Sender | SmtpStep::Recipient | SmtpStep::Text, code, .. } => {
                *code >= 500 && *code != 530 && *code != 538
            }
            Self::Unwritable(_) => true,
            _ => false,
        }
    }
}

impl fmt::Display for SmtpStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Connection => "the connection",
            Self::StartTls => "STARTTLS",
            Self::Credentials => "user and password",
            Self::Sender => "the sender",
            Self::Recipient => "the recipient",
            Self::Text => "the text",
        })
    }
}

fn tls(host: &str, extra_roots: &[CertificateDer<'static>]) -> Result<TlsParameters, Error> {
    let mut builder =
        TlsParameters::builder(host.to_owned()).certificate_store(CertificateStore::WebpkiRoots);
    for root in extra_roots {
        builder = builder.add_root_certificate(Certificate::from_der(root.to_vec())?);
    }
    builder.build_rustls()
}

/// Says goodbye; a server that does not answer it is left alone.
async fn leave(mut connection: AsyncSmtpConnection) {
    let _ = tokio::time::timeout(Duration::from_secs(2), connection.quit()).await;
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Times before 1970 cannot be written in a mail; no clock shows one.
fn system_time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0))
}

/// Whether TLS failed, rather than the network: also a connection that ends in the middle of a handshake.
fn is_about_tls(error: &(dyn StdError + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    let cut =
        io.is_some_and(|it| matches!(it.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData));
    // An I/O error hides what it wraps from `source`.
    let wrapped = io.and_then(io::Error::get_ref);
    cut || error.is::<rustls::Error>()
        || wrapped.is_some_and(|it| is_about_tls(it))
        || error.source().is_some_and(is_about_tls)
}

/// The innermost cause of an error, which alone says something.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    innermost.to_string()
}
