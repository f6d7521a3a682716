//! The application behind every proxy: reads a whole request, answers with a little TwiML, keeps the connection.
//!
//! As cheap as it can be, because it shares a core with the load; it reads no more of HTTP than a well-behaved proxy
//! writes (`Content-Length`, no chunks) and says so when that does not hold.

use crate::arguments::Arguments;
use crate::load::{content_length, find_head};
use crate::{Outcome, process};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 68\r\n\r\n\
    <?xml version=\"1.0\"?><Response><Message>Noted</Message></Response>\r\n";

/// `upstream --port N`: serves until it is ended.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let port: u16 = arguments.number("port", 9_100)?;
    process::runtime()?.block_on(LocalSet::new().run_until(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        serve(listener, Rc::default()).await;
        Ok(())
    }))
}

/// `served` counts the requests answered: what reached the application, whatever the proxy said.
pub(crate) async fn serve(listener: TcpListener, served: Rc<Cell<u64>>) {
    while let Ok((stream, _)) = listener.accept().await {
        spawn_local(answer_all(stream, Rc::clone(&served)));
    }
}

async fn answer_all(mut stream: TcpStream, served: Rc<Cell<u64>>) {
    if let Err(error) = try_answer_all(&mut stream, &served).await
        && error.kind() == io::ErrorKind::InvalidData
    {
        eprintln!("upstream: {error}");
    }
}

async fn try_answer_all(stream: &mut TcpStream, served: &Cell<u64>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let Some(head) = find_head(&buffer[..filled]) else { continue };
        let body = content_length(&buffer[..head]).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "a request came without Content-Length")
        })?;
        if filled < head + body {
            continue;
        }
        if filled > head + body {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more came than one request: pipelined?"));
        }
        filled = 0;
        served.set(served.get() + 1);
        stream.write_all(ANSWER).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let head = find_head(ANSWER).unwrap();
        assert_eq!(content_length(&ANSWER[..head]), Some(ANSWER.len() - head));
    }
}
