//! Names are looked up for where redirects lead, and private addresses are left out: a listed name can lead anywhere.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use ringfence_model::is_private;
use tower_service::Service;

/// Looks names up as the system does, and knows no private address. What was looked at is connected to, so that a name which
/// leads elsewhere a moment later changes nothing.
#[derive(Debug, Clone)]
pub(crate) struct PublicOnly(GaiResolver);

impl PublicOnly {
    pub(crate) fn new() -> Self {
        Self(GaiResolver::new())
    }
}

impl Service<Name> for PublicOnly {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let found = self.0.call(name);
        Box::pin(async move {
            let public: Vec<_> = found.await?.filter(|address| !is_private(address.ip())).collect();
            if public.is_empty() {
                let why = "the name leads to private addresses alone, which are not asked for files";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
            Ok(public.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Request;
    use ringfence_testkit::Upstream;

    use super::*;
    use crate::egress::client::{Client, Failure, tls};

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_asked() {
        let inside = Upstream::saying("secret").await;
        let url = format!("http://localhost:{}/", inside.address().port());
        let request = || Request::get(&url).body(http_body_util::Full::default()).unwrap();
        let guarded = Client::with_resolver(tls(&[]).unwrap(), PublicOnly::new());
        let refused = guarded.send(request(), Duration::from_secs(5)).await;
        assert_eq!(refused.err(), Some(Failure::NotSent));
        assert_eq!(inside.connections(), 0);
        let answered = Client::new(tls(&[]).unwrap()).send(request(), Duration::from_secs(5)).await;
        assert!(answered.is_ok(), "without the guard it would be");
    }
}
