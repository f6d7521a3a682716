//! What Twilio calls, who ends TLS there, and where it leads.

use std::net::SocketAddr;
use std::path::Path;

use ringfence_gateway::tls::{CertificatePaths, CertificateStore};

use super::Interview;
use crate::commands::init::answers::{self, Called, Tls};
use crate::commands::init::probe;
use crate::exit::Failure;

impl Interview<'_> {
    pub(super) fn called(&mut self) -> Result<Called, Failure> {
        let question = "URL that Twilio calls, such as https://hooks.example.com/twilio/";
        let called = self.settle(
            "--public-url",
            self.arguments.public_url.as_deref(),
            question,
            None,
            answers::called,
        )?;
        if called.path.ends_with('/') {
            self.say(&format!("  all that begins with {} is taken", called.whole()));
        } else {
            self.say(&format!("  {} alone is taken; with / at its end, all that begins so", called.whole()));
        }
        if !called.is_encrypted() && !self.is_at_a_sandbox() {
            self.note(
                "this is without TLS, so whoever is on the way reads along; tell Twilio an https:// URL",
            );
        }
        Ok(called)
    }

    pub(super) fn tls(&mut self, called: &Called) -> Result<Tls, Failure> {
        let arguments = self.arguments;
        if !called.is_encrypted() {
            if arguments.acme.is_some() || arguments.certificate.is_some() {
                return Err(Failure::usage("there is no TLS to end: the public URL begins with http://")
                    .hint("write https://, or leave --acme and --certificate away"));
            }
            return Ok(Tls::Elsewhere);
        }
        if let Some(contact) = &arguments.acme {
            return answers::acme(called, contact).map_err(|it| it.about("--acme"));
        }
        if let (Some(certificate), Some(key)) = (&arguments.certificate, &arguments.key) {
            return self.certificate(certificate, key);
        }
        let host = called.host_and_port().map(|(host, _)| host).unwrap_or_default();
        loop {
            let Some(person) = &mut self.person else { return Ok(Tls::Elsewhere) };
            person.tell(&format!("\nWho ends TLS for {host}?"));
            person.tell("  proxy: one of yours in front, such as nginx, Caddy, a load balancer");
            person.tell(
                "  acme:  Ringfence, with a certificate of Let's Encrypt, ordered and renewed by itself",
            );
            person.tell("  files: Ringfence, with a certificate that you have");
            match person.ask("proxy, acme or files", Some("proxy"))?.to_ascii_lowercase().as_str() {
                "proxy" => return Ok(Tls::Elsewhere),
                "acme" => {
                    let question = "Mail address for Let's Encrypt";
                    let contact = person.ask(question, None)?;
                    match answers::acme(called, &contact) {
                        Ok(tls) => return Ok(tls),
                        Err(failure) => person.tell_failure(&failure),
                    }
                }
                "files" => {
                    let certificate = person.ask("Certificate, PEM, with its chain", None)?;
                    let key = person.ask("Its key, PEM", None)?;
                    match self.certificate(Path::new(&certificate), Path::new(&key)) {
                        Ok(tls) => return Ok(tls),
                        Err(failure) => self.tell_failure(&failure),
                    }
                }
                _ => person.tell("  type proxy, acme or files"),
            }
        }
    }

    fn certificate(&self, certificate: &Path, key: &Path) -> Result<Tls, Failure> {
        let paths = CertificatePaths { chain: certificate.to_owned(), key: key.to_owned() };
        CertificateStore::load(&paths).map_err(Failure::usage)?;
        let [certificate, key] = [certificate, key].map(|path| self.target.seen_from_here(path));
        Ok(Tls::Files { certificate: certificate?, key: key? })
    }

    /// Twilio comes to the port of the URL, and a proxy on this machine to one of its own.
    pub(super) fn gate(&mut self, called: &Called, tls: &Tls) -> SocketAddr {
        let host_and_port = called.host_and_port();
        let port = host_and_port.as_ref().map_or(answers::HTTPS, |(_, port)| *port);
        let gate = self.arguments.listen.unwrap_or_else(|| match tls {
            Tls::Elsewhere => SocketAddr::from(([127, 0, 0, 1], 8080)),
            Tls::Files { .. } => SocketAddr::from(([0, 0, 0, 0], port)),
            Tls::Acme { .. } => SocketAddr::from(([0, 0, 0, 0], answers::HTTPS)),
        });
        self.say(&format!("  the gate will listen on {gate} (--listen ADDR says another)"));
        let host = host_and_port.map(|(host, _)| host).unwrap_or_default();
        for (port, who) in answers::ports_apart(called, tls, gate) {
            self.note(&format!(
                "{who} comes to port {port} of {host}, and the gate listens on {}: something has to lead that port to it",
                gate.port()
            ));
        }
        gate
    }

    pub(super) async fn look_at_public_url(&mut self, called: &Called, tls: &Tls) {
        if self.arguments.offline || self.is_at_a_sandbox() {
            return;
        }
        if let Some(problem) = probe::public_url(called, tls).await {
            self.note(&format!("Twilio would not reach {} now: {problem}", called.public_url));
        }
    }

    /// A sandbox on this machine reaches what Twilio would not.
    fn is_at_a_sandbox(&self) -> bool {
        self.arguments.twilio.as_ref().is_some_and(|base| base.is_plain())
    }

    pub(super) async fn upstream(&mut self, gate: SocketAddr) -> Result<String, Failure> {
        let question = "Where your application listens";
        let given = self.arguments.upstream.as_deref();
        let default = given.is_none().then_some("http://127.0.0.1:3000");
        let admin = self.arguments.admin;
        let read = |text: &str| answers::upstream(text, gate, admin);
        let upstream = self.settle("--upstream", given, question, default, read)?;
        if !self.arguments.offline
            && let Some(problem) = probe::upstream(&upstream).await
        {
            self.note(&format!("the application does not answer at {upstream} now: {problem}"));
        }
        Ok(upstream)
    }
}
