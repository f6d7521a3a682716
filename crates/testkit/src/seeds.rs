//! The seeds of fuzz targets, of which ordinary tests ask the same as the fuzzer.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arbitrary::{Arbitrary, Unstructured};

/// Asks a law with each seed of a fuzz target. A seed is read as `fuzz_target!` reads it, so that the fuzzer's inputs can
/// be kept as they are. `manifest` is the folder of the crate, `env!("CARGO_MANIFEST_DIR")`.
pub fn each_seed<T: Arbitrary<'static>>(manifest: &str, target: &str, law: impl Fn(T)) {
    let folder = Path::new(manifest).join("fuzz/seeds").join(target);
    let entries = fs::read_dir(&folder).expect("there is a folder of seeds");
    let mut seeds: Vec<PathBuf> = entries.map(|entry| entry.expect("a seed").path()).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "there is no seed in {}", folder.display());
    for seed in seeds {
        let bytes: &'static [u8] = fs::read(&seed).expect("a seed can be read").leak();
        // The fuzzer passes over what is too short, too.
        let Ok(input) = T::arbitrary_take_rest(Unstructured::new(bytes)) else { continue };
        let held = catch_unwind(AssertUnwindSafe(|| law(input)));
        assert!(held.is_ok(), "the law does not hold for the seed {}", seed.display());
    }
}
