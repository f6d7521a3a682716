//! What fuzzing found worth keeping (`fuzz/seeds`) is held to the same laws, without a fuzzer.

mod laws;

use ringfence_testkit::each_seed;

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn what_the_plain_reader_signs_the_verifier_admits_and_nothing_else() {
    each_seed(FOLDER, "form", laws::form);
}

#[test]
fn a_url_that_is_signed_in_one_of_its_forms_is_found_again() {
    each_seed(FOLDER, "url_candidates", laws::url_candidates);
}

#[test]
fn nobody_who_has_not_the_key_is_admitted() {
    each_seed(FOLDER, "verify", laws::whole);
}
