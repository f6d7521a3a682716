//! TwiML, read.
