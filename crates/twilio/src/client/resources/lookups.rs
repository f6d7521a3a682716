//! What is known of a number: <https://www.twilio.com/docs/lookup/v2-api>.

use ringfence_model::PhoneNumber;

use super::super::base::Product;
use super::super::operation::{Operation, segment};
use super::super::{Client, Error};
use crate::wire::{Form, LookedUp};

/// Lookup: `client.lookups()`.
#[derive(Debug, Clone, Copy)]
pub struct Lookups<'c> {
    client: &'c Client,
}

impl Client {
    /// What is known of numbers. Each question costs something.
    pub fn lookups(&self) -> Lookups<'_> {
        Lookups { client: self }
    }
}

impl Lookups<'_> {
    /// The kind of line that a number leads to (Line Type Intelligence).
    pub async fn line_type(&self, number: PhoneNumber) -> Result<LookedUp, Error> {
        let path = format!("/v2/PhoneNumbers/{}", segment(&number.to_string()));
        let mut query = Form::new();
        query.push("Fields", "line_type_intelligence");
        self.client.json(Operation::get("lookups.line_type", Product::Lookups, &path, &query)).await
    }
}
