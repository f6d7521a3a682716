//! The sandbox: a Twilio-compatible server for development and tests.
