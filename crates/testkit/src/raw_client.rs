//! A client that sends exactly the bytes it is given, over TCP or TLS, and reads HTTP/1.1 responses simply: enough to
//! see what a server really answered, including what a proper client would hide.

use std::fmt;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::PATIENCE;

/// Sends these bytes on a new plain connection and reads one response.
pub async fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Result<Response> {
    let mut client = RawClient::connect(address).await?;
    client.exchange(request).await
}

/// One connection. Every call ends within [`PATIENCE`], with [`ErrorKind::TimedOut`] if the other side did not move.
pub struct RawClient {
    stream: Box<dyn Stream>,
    local_address: SocketAddr,
    handshake: Option<Handshake>,
    /// What has arrived and belongs to no response yet.
    buffer: Vec<u8>,
}

/// What the TLS handshake agreed on.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// TLS 1.2 or 1.3.
    pub version: Option<ProtocolVersion>,
    /// The application protocol, if any.
    pub protocol: Option<Vec<u8>>,
    /// Whether a session of an earlier connection was resumed.
    pub resumed: bool,
    /// The server's chain, its own certificate first.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// One HTTP/1.1 response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// All headers in order, names as sent.
    pub headers: Vec<(String, String)>,
    /// The body, without chunk framing.
    pub body: Vec<u8>,
}

impl RawClient {
    /// Opens a plain connection.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = open(address).await?;
        let local_address = stream.local_addr()?;
        Ok(Self { stream: Box::new(stream), local_address, handshake: None, buffer: Vec::new() })
    }

    /// Opens a connection and shakes hands as a client of `server_name`.
    pub async fn connect_tls(
        address: SocketAddr,
        server_name: &str,
        config: Arc<ClientConfig>,
    ) -> Result<Self> {
        Self::connect_tls_after(address, b"", server_name, config).await
    }

    /// Sends some bytes in the clear first (a PROXY protocol header, say), then shakes hands.
    pub async fn connect_tls_after(
        address: SocketAddr,
        preface: &[u8],
        server_name: &str,
        config: Arc<ClientConfig>,
    ) -> Result<Self> {
        let mut stream = open(address).await?;
        let local_address = stream.local_addr()?;
        within(stream.write_all(preface)).await?;
        let name = ServerName::try_from(server_name.to_owned()).expect("the server name of a test is valid");
        let stream = within(TlsConnector::from(config).connect(name, stream)).await?;
        let (_, session) = stream.get_ref();
        let handshake = Handshake {
            version: session.protocol_version(),
            protocol: session.alpn_protocol().map(<[u8]>::to_vec),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            certificates: session.peer_certificates().unwrap_or_default().to_vec(),
        };
        Ok(Self { stream: Box::new(stream), local_address, handshake: Some(handshake), buffer: Vec::new() })
    }

    /// This end's address, as the server sees it.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// What TLS agreed on; panics on a plain connection.
    pub fn handshake(&self) -> &Handshake {
        self.handshake.as_ref().expect("the connection was made with TLS")
    }

    /// Sends exactly these bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        within(async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        })
        .await
    }

    /// Tells the server that nothing more will be sent; its answers can still be read.
    pub async fn finish(&mut self) -> Result<()> {
        within(self.stream.shutdown()).await
    }

    /// Sends these bytes and reads one response.
    pub async fn exchange(&mut self, request: impl AsRef<[u8]>) -> Result<Response> {
        self.send(request).await?;
        self.read_response().await
    }

    /// Reads one response. A `100 Continue` before it is passed over.
    ///
    /// [`ErrorKind::UnexpectedEof`] when the connection ends before the response does, [`ErrorKind::InvalidData`] when
    /// it is not one.
    pub async fn read_response(&mut self) -> Result<Response> {
        within(self.read_one(true)).await
    }

    /// Reads the head of one response and leaves what follows: for an answer to HEAD, or one whose body is looked at
    /// piece by piece with [`RawClient::read_some`].
    pub async fn read_head(&mut self) -> Result<Response> {
        within(self.read_one(false)).await
    }

    /// What has arrived and was not read yet, waiting for at least one byte. Empty when the server has closed.
    pub async fn read_some(&mut self) -> Result<Vec<u8>> {
        if self.buffer.is_empty() {
            within(Self::fill(&mut self.stream, &mut self.buffer)).await?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Exactly `count` bytes (of an upgraded connection, say).
    pub async fn read_exactly(&mut self, count: usize) -> Result<Vec<u8>> {
        within(self.take(count)).await
    }

    /// Everything that still arrives until the server closes. A reset counts as closing.
    pub async fn read_to_end(&mut self) -> Result<Vec<u8>> {
        loop {
            match within(Self::fill(&mut self.stream, &mut self.buffer)).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::TimedOut => return Err(error),
                Err(_) => break,
            }
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Whether the server closes the connection without another byte. Waits for it.
    pub async fn is_closed(&mut self) -> bool {
        matches!(self.read_to_end().await, Ok(rest) if rest.is_empty())
    }

    async fn read_one(&mut self, with_body: bool) -> Result<Response> {
        loop {
            let mut response = parse_head(&self.take_through(b"\r\n\r\n").await?)?;
            if response.status == 100 {
                continue;
            }
            if with_body {
                response.body = self.read_body(&response).await?;
            }
            return Ok(response);
        }
    }

    async fn read_body(&mut self, response: &Response) -> Result<Vec<u8>> {
        if response.status < 200 || matches!(response.status, 204 | 304) {
            return Ok(Vec::new());
        }
        if response.header("transfer-encoding").is_some() {
            return self.read_chunks().await;
        }
        if let Some(length) = response.header("content-length") {
            let length = length.parse().map_err(|_| invalid("Content-Length is not a number"))?;
            return self.take(length).await;
        }
        while Self::fill(&mut self.stream, &mut self.buffer).await? > 0 {}
        Ok(std::mem::take(&mut self.buffer))
    }

    async fn read_chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.take_through(b"\r\n").await?;
            let size = str::from_utf8(&line).unwrap_or_default().split(';').next().unwrap_or_default().trim();
            let size =
                usize::from_str_radix(size, 16).map_err(|_| invalid("the chunk size is not a number"))?;
            if size == 0 {
                while self.take_through(b"\r\n").await? != b"\r\n" {}
                return Ok(body);
            }
            body.extend(self.take(size).await?);
            if self.take(2).await? != b"\r\n" {
                return Err(invalid("the chunk is longer than its size"));
            }
        }
    }

    async fn take(&mut self, count: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < count {
            self.fill_some().await?;
        }
        let rest = self.buffer.split_off(count);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    async fn take_through(&mut self, mark: &[u8]) -> Result<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                return self.take(at + mark.len()).await;
            }
            self.fill_some().await?;
        }
    }

    async fn fill_some(&mut self) -> Result<()> {
        match Self::fill(&mut self.stream, &mut self.buffer).await? {
            0 => Err(Error::new(
                ErrorKind::UnexpectedEof,
                format!("closed after {:?}", String::from_utf8_lossy(&self.buffer)),
            )),
            _ => Ok(()),
        }
    }

    async fn fill(stream: &mut Box<dyn Stream>, buffer: &mut Vec<u8>) -> Result<usize> {
        stream.read_buf(buffer).await
    }
}

impl fmt::Debug for RawClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RawClient")
            .field("local_address", &self.local_address)
            .finish_non_exhaustive()
    }
}

impl Response {
    /// The header's value, if it was sent exactly once; panics if it was sent more often.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.headers_named(name);
        assert!(values.len() <= 1, "{name} arrived {} times", values.len());
        values.first().copied()
    }

    /// All values of a header, in order; empty if it was not sent.
    pub fn headers_named(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text; panics if it is not UTF-8.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("the body is text")
    }
}

fn parse_head(bytes: &[u8]) -> Result<Response> {
    let text = str::from_utf8(bytes).map_err(|_| invalid("the head is not UTF-8"))?;
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.strip_prefix("HTTP/1.1 ").or_else(|| status_line.strip_prefix("HTTP/1.0 "));
    let status = status.and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.ok_or_else(|| invalid("the status line is none of HTTP/1"))?;
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("a header line has no colon"))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok(Response { status, headers, body: Vec::new() })
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

async fn open(address: SocketAddr) -> Result<TcpStream> {
    let stream = within(TcpStream::connect(address)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn within<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let timed_out = |_| Error::new(ErrorKind::TimedOut, "the other side did not move in time");
    tokio::time::timeout(PATIENCE, work).await.map_err(timed_out)?
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}
