//! `GET /_sandbox/events`: one server-sent event for each change, with the revision of the world as its data.
//!
//! It carries no content: whoever follows fetches what it shows anew.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use http_body_util::channel::Channel;

use crate::edge::{self, Body, stopped};

/// Changes that come quicker than this are told together.
const TOGETHER: Duration = Duration::from_millis(100);
/// A comment now and then finds out who has gone.
const ALIVE: Duration = Duration::from_secs(15);

pub(super) async fn follow(State(state): State<Arc<edge::State>>) -> Response {
    let (mut sender, body) = Channel::<Bytes>::new(1);
    let mut revision = state.engine.follow();
    let mut stopping = state.stopping.subscribe();
    tokio::spawn(async move {
        loop {
            let seen = *revision.borrow_and_update();
            if sender.send_data(format!("event: revision\ndata: {seen}\n\n").into()).await.is_err() {
                return;
            }
            tokio::time::sleep(TOGETHER).await;
            loop {
                tokio::select! {
                    changed = revision.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    () = tokio::time::sleep(ALIVE) => {
                        if sender.send_data(Bytes::from_static(b": still here\n\n")).await.is_err() {
                            return;
                        }
                    }
                    () = stopped(&mut stopping) => return,
                }
            }
        }
    });
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}
