//! The commands of the circuit breaker: the real program, with a sandbox as Twilio.

mod acts;
mod api;
mod beside_serve;
mod breached;
mod codes;
mod doctor;
mod documentation;
mod egress;
mod flood;
mod import;
mod init;
mod inspected;
mod media;
mod over_api;
mod plan;
mod processes;
mod shared_keys;
mod terminal;
mod tokens;
mod world;
