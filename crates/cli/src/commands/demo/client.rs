//! Sends one request, byte for byte as it is told, and reads the answer. Forgeries are often not well-formed, so
//! no HTTP library would send them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The key of RFC 6455's own example.
pub(super) const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

const PATIENCE: Duration = Duration::from_secs(20);

/// A request to be written as it stands.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// The values of a field, in their order.
    pub(super) fn headers<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(move |(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

impl Outgoing {
    pub(super) fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As it goes over the wire.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            text.extend([name, ": ", value, "\r\n"]);
        }
        let upgrade = self.headers.iter().any(|(name, _)| name == "upgrade");
        if !upgrade {
            text.extend(["content-length: ", &self.body.len().to_string(), "\r\nconnection: close\r\n"]);
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// Sends a request on a connection of its own. Of a 101 only the head is read.
pub(super) async fn send(address: SocketAddr, outgoing: &Outgoing) -> anyhow::Result<Reply> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(&outgoing.bytes()).await?;
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                bail!("the connection ended within the answer's head");
            }
        };
        let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        let status: u16 = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .context("the answer has no status")?;
        if status != 101 {
            stream.read_to_end(&mut bytes).await?;
        }
        Ok(Reply { status, head, body: bytes.split_off(head_end + 4) })
    };
    timeout(PATIENCE, exchange).await.context("no answer in time")?
}

/// Fetches a page of the admin listener.
pub(super) async fn get(address: SocketAddr, target: &str) -> anyhow::Result<String> {
    let outgoing = Outgoing::new("GET", target).header("host", &address.to_string());
    let reply = send(address, &outgoing).await?;
    Ok(String::from_utf8_lossy(&reply.body).into_owned())
}
