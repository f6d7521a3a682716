//! One promise, both databases: every test here runs on SQLite and on a real PostgreSQL.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod accounts;
mod answers;
mod applications;
mod audit;
mod backup;
mod breakers;
mod challenges;
mod codes;
mod durability;
mod findings;
mod flows;
mod hosts;
mod kept;
mod keys;
mod ledger;
mod looks;
mod media;
mod nodes;
mod observations;
mod opening;
mod outbox;
mod owners;
mod passkeys;
mod persons;
mod places;
mod prices;
mod recovery_codes;
mod requests;
mod rotations;
mod shared_keys;
mod sign_ins;
mod signs;
mod tallies;
mod together;
mod user_passkeys;
mod users;
mod world;
mod writing;
