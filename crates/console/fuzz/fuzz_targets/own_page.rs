//! Any text as a place to go to after the sign-in: what is taken is on our host to every browser.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_console::laws;

fuzz_target!(|text: &str| laws::own_page(text));
