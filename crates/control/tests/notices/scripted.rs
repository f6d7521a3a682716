//! An SMTP server that answers what a test wants.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the server does after a line.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers this, with a line end after it.
    Say(String),
    /// Nothing at all, for ever.
    Hang,
    /// Ends the connection.
    Close,
}

/// A running server. It ends when dropped.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl Scripted {
    /// `script` is asked about each line; about an empty one for the greeting, and about `.` after the text of a mail.
    /// What it has no answer to is answered as a server does that takes everything.
    pub(crate) async fn start(script: impl Fn(&str) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (script, record) = (Arc::new(script), Arc::clone(&heard));
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (script, record) = (Arc::clone(&script), Arc::clone(&record));
                // A connection that breaks is what some tests are about.
                tokio::spawn(async move { converse(stream, &*script, &record).await.ok() });
            }
        });
        Self { address, heard, accepting }
    }

    /// Every line that came in, those of the text included.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn converse(
    stream: TcpStream,
    script: &(impl Fn(&str) -> Option<Reply> + Sync),
    heard: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let mut in_text = false;
    loop {
        let reply = if in_text && line != "." {
            None
        } else {
            let reply = script(&line).unwrap_or_else(|| usual(&line));
            in_text = matches!(&reply, Reply::Say(said) if said.starts_with("354"));
            Some(reply)
        };
        match reply {
            Some(Reply::Say(said)) => stream.write_all(format!("{said}\r\n").as_bytes()).await?,
            Some(Reply::Hang) => return stream.read_to_end(&mut Vec::new()).await.map(|_| ()),
            Some(Reply::Close) => return Ok(()),
            None => {}
        }
        let mut next = String::new();
        if stream.read_line(&mut next).await? == 0 {
            return Ok(());
        }
        line = next.trim_end_matches(['\r', '\n']).to_owned();
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
    }
}

fn usual(line: &str) -> Reply {
    Reply::Say(match line {
        "" => "220 test ESMTP".to_owned(),
        "DATA" => "354 go on".to_owned(),
        "QUIT" => "221 bye".to_owned(),
        _ if line.starts_with("EHLO") => "250-test\r\n250 8BITMIME".to_owned(),
        _ if line.starts_with("AUTH") => "235 2.7.0 welcome".to_owned(),
        _ => "250 2.0.0 fine".to_owned(),
    })
}
