//! Messaging Services: <https://www.twilio.com/docs/messaging/api/service-resource>.

use ringfence_model::Sid;

use super::super::base::Product::Messaging;
use super::super::operation::Operation;
use super::super::{Client, Error, Pages};
use crate::wire::{Form, MessagingService};

/// The Messaging Services of the account whose credentials these are: `client.messaging_services()`.
#[derive(Debug, Clone, Copy)]
pub struct MessagingServices<'c> {
    client: &'c Client,
}

impl Client {
    /// The Messaging Services of the account whose credentials these are.
    pub fn messaging_services(&self) -> MessagingServices<'_> {
        MessagingServices { client: self }
    }
}

impl MessagingServices<'_> {
    /// All of them.
    pub fn list(&self) -> Pages<MessagingService> {
        let path = "/v1/Services".to_owned();
        Pages::new(self.client, "messaging_services.list", Messaging, path, Form::new(), "services")
    }

    /// One of them.
    pub async fn fetch(&self, service: Sid) -> Result<MessagingService, Error> {
        let path = format!("/v1/Services/{service}");
        self.client.json(Operation::get("messaging_services.fetch", Messaging, &path, &Form::new())).await
    }
}
