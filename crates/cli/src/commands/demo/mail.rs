//! The operator's mail server: it takes every mail, and keeps it to be shown.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A running mail server.
#[derive(Debug, Clone)]
pub(super) struct MailServer {
    pub(super) address: SocketAddr,
    taken: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    /// The mails so far, as they came: head, empty line, text.
    pub(super) fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) fn start(listener: TcpListener) -> std::io::Result<MailServer> {
    listener.set_nonblocking(true)?;
    let server = MailServer { address: listener.local_addr()?, taken: Arc::default() };
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let taken = Arc::clone(&server.taken);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let taken = Arc::clone(&taken);
            tokio::spawn(async move {
                // How the other side hangs up does not matter.
                let _ended = converse(stream, &taken).await;
            });
        }
    });
    Ok(server)
}

/// SMTP as far as a client needs it that is let do everything (RFC 5321).
async fn converse(stream: TcpStream, taken: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut answer = "220 mail.example.com";
    loop {
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        let Some(command) = line(&mut stream).await? else { return Ok(()) };
        let verb = command.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        answer = match verb.as_str() {
            "EHLO" => "250-mail.example.com\r\n250 8BITMIME",
            "HELO" | "MAIL" | "RCPT" | "RSET" | "NOOP" => "250 OK",
            "DATA" => {
                stream.write_all(b"354 Go on\r\n").await?;
                let mut mail = String::new();
                while let Some(line) = line(&mut stream).await?.filter(|line| line != ".") {
                    // Section 4.5.2: a line that begins with a dot was given another one.
                    mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                    mail.push('\n');
                }
                taken.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
                "250 Taken"
            }
            "QUIT" => {
                stream.write_all(b"221 Bye\r\n").await?;
                return Ok(());
            }
            _ => "502 Not here",
        };
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    let length = stream.read_line(&mut line).await?;
    Ok((length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// What a mail program shows of a mail.
pub(super) fn shown(mail: &str) -> Vec<String> {
    let (head, text) = mail.split_once("\n\n").unwrap_or((mail, ""));
    let text = if head.contains("quoted-printable") { unquoted(text) } else { text.to_owned() };
    let head =
        head.lines().filter(|line| ["From:", "To:", "Subject:"].iter().any(|name| line.starts_with(name)));
    head.chain([""]).chain(text.trim_end().lines()).map(str::to_owned).collect()
}

/// Quoted-printable (RFC 2045 section 6.7) undone.
fn unquoted(text: &str) -> String {
    let text = text.replace("=\n", "");
    let mut parts = text.split('=');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.split_at_checked(2).and_then(|(hex, rest)| Some((u8::from_str_radix(hex, 16).ok()?, rest)))
        {
            Some((byte, rest)) => {
                bytes.push(byte);
                bytes.extend_from_slice(rest.as_bytes());
            }
            None => bytes.extend(["=", part].concat().into_bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
