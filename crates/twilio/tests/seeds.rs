//! What fuzzing found worth keeping (`fuzz/seeds`) is held to the same law, without a fuzzer.

mod laws;

use ringfence_testkit::each_seed;

#[test]
fn twiml_that_is_read_can_be_written_with_other_time_limits_and_is_the_same_else() {
    each_seed(env!("CARGO_MANIFEST_DIR"), "twiml", laws::twiml);
}
