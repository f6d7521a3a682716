//! Any text as a configuration file: it is meant, or what is wrong with it is told, without a secret.
#![no_main]
#![expect(dead_code, unused_imports, reason = "the program uses what this target does not")]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/config/mod.rs"]
mod config;

fuzz_target!(|text: &str| config::laws::text(text));
