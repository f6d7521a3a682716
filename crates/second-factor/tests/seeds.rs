//! What fuzzing found worth keeping (`fuzz/seeds`) is held to the same law, without a fuzzer.

mod laws;

use ringfence_testkit::each_seed;

#[test]
fn nothing_that_was_not_signed_lets_anybody_in() {
    each_seed(env!("CARGO_MANIFEST_DIR"), "passkey", laws::passkey);
}
