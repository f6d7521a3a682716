//! Twilio's REST API: the shapes that go over the wire, TwiML, and a client for what Ringfence needs.
//!
//! `wire` and `twiml` do no I/O and are shared by the client and by servers that speak like Twilio (feature
//! `wire`). The client is the feature `client`.
//!
//! ```
//! use ringfence_twilio::twiml::{self, Verb};
//! use ringfence_twilio::wire::{Form, Message, MessageStatus};
//!
//! // What an application sends, as a form, and what Twilio answers, as JSON.
//! let form = Form::parse(b"To=%2B14155550100&From=%2B14155550199&Body=Hello");
//! assert_eq!(form.get("To"), Some("+14155550100"));
//! let message: Message = serde_json::from_str(MESSAGE)?;
//! assert_eq!(message.status, MessageStatus::Queued);
//! assert!(message.price.is_none(), "Twilio tells the price later");
//!
//! // What an application answers a webhook with. What Twilio would warn of is a warning, and no error.
//! let answer = twiml::parse(b"<Response><Say>Hello</Say><Dail>+14155550100</Dail></Response>")?;
//! assert!(matches!(answer.verbs[..], [Verb::Say(_)]));
//! assert_eq!(answer.warnings[0].to_string(), "<Dail> is not known inside <Response>");
//! # const MESSAGE: &str = r#"{"account_sid": "AC00000000000000000000000000000001", "api_version": "2010-04-01",
//! #   "body": "Hello", "date_created": "Fri, 27 Nov 2026 12:00:00 +0000", "date_sent": null,
//! #   "date_updated": "Fri, 27 Nov 2026 12:00:00 +0000", "direction": "outbound-api", "error_code": null,
//! #   "error_message": null, "from": "+14155550199", "messaging_service_sid": null, "num_media": "0",
//! #   "num_segments": "1", "price": null, "price_unit": "USD", "sid": "SM00000000000000000000000000000001",
//! #   "status": "queued", "subresource_uris": {}, "to": "+14155550100", "uri": "/"}"#;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The example of [`client`](crate::client) suspends an account.

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "wire")]
pub mod twiml;
#[cfg(feature = "wire")]
pub mod wire;

/// The example of the README runs too.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../README.md")]
struct Readme;
