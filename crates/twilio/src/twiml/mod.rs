//! TwiML: what an application answers, read into verbs.
