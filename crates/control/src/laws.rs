//! What must hold of any bytes at all that a stranger sends to the JSON APIs.
//!
//! Each law is one function that panics where it does not hold. The tests below ask them with the seeds that fuzzing has
//! found, the fuzz targets (`crates/control/fuzz`) with whatever the fuzzer comes upon.
//! Neither is in a release.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::json_api::problem::Problem;
use crate::json_api::query;
use crate::{api, user_api};

/// A body is taken by an endpoint only if it is one object to every reader, whole; what is refused is told as a problem of
/// the sender's, in which nothing stands that could be a code or a number of theirs.
pub fn bodies(bytes: &[u8]) {
    let whole: Option<Value> = serde_json::from_slice(bytes).ok();
    for read in user_api::BODIES.iter().chain(api::BODIES) {
        if let Err(problem) = read(bytes) {
            // A name that is repeated is written with six letters for one at most, in two places.
            let most = 2_000 + 12 * bytes.len();
            is_the_senders(problem, most, &whole.as_ref().map(digits).unwrap_or_default());
            continue;
        }
        let whole = whole.as_ref().filter(|it| it.is_object()).expect("no more than an object is taken");
        let anew = serde_json::to_vec(whole).expect("what was read can be written");
        assert!(read(&anew).is_ok(), "written anew by another it is refused");
        let (_, cut) = bytes.trim_ascii_end().split_last().expect("an object has two braces");
        assert!(read(cut).is_err(), "half a body was taken");
        assert!(read(&[bytes, b"{}"].concat()).is_err(), "a body and a half was taken");
    }
}

/// A query is taken only where each of its names is one of the endpoint's, and there once.
pub fn queries(text: &str) {
    let given: Vec<_> = form_urlencoded::parse(text.as_bytes()).collect();
    for parameters in api::queries() {
        match query::read(text, parameters) {
            Ok(query) => {
                let names: BTreeSet<_> = given.iter().map(|(name, _)| name).collect();
                assert_eq!(names.len(), given.len(), "a name was taken twice");
                assert!(names.iter().all(|name| parameters.iter().any(|known| known.name == **name)));
                assert!((1..=crate::views::SIZE_MAX).contains(&query.page().size));
                let texts = parameters.iter().filter_map(|known| query.text(known.name));
                assert!(texts.into_iter().all(|text| !text.contains('\0')));
            }
            // Each wrong name is named in two places, with all that could have been meant.
            Err(problem) => is_the_senders(problem, 2_000 + 500 * text.len(), &BTreeSet::new()),
        }
    }
}

/// The problem is told as one of whoever sent it, in so many bytes at most.
fn is_the_senders(problem: Problem, most: usize, secret: &BTreeSet<String>) {
    let response = problem.response();
    assert!(response.status().is_client_error(), "{}", response.status());
    let told: Value = serde_json::from_slice(response.body()).expect("a problem is JSON");
    assert_eq!(told.get("status"), Some(&Value::from(response.status().as_u16())));
    assert!(response.body().len() <= most, "{} of {most}", response.body().len());
    let told = String::from_utf8_lossy(response.body());
    assert!(!secret.iter().any(|run| told.contains(run)), "{told} repeats one of {secret:?}");
}

/// The runs of digits in values that could be a code, but for those that stand in a name as well.
fn digits(whole: &Value) -> BTreeSet<String> {
    fn gather(value: &Value, names: &mut String, runs: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    names.push_str(name);
                    names.push('\n');
                    gather(value, names, runs);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| gather(value, names, runs)),
            Value::String(text) => {
                let of_text = text.split(|letter: char| !letter.is_ascii_digit());
                runs.extend(of_text.filter(|run| run.len() >= 6).map(str::to_owned));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => (),
        }
    }
    let (mut names, mut runs) = (String::new(), BTreeSet::new());
    gather(whole, &mut names, &mut runs);
    runs.retain(|run| !names.contains(run));
    runs
}

#[cfg(test)]
mod tests {
    use ringfence_testkit::each_seed;

    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn a_body_that_is_taken_is_one_object_and_what_is_refused_is_not_repeated() {
        each_seed(FOLDER, "bodies", super::bodies);
    }

    #[test]
    fn a_query_that_is_taken_says_each_of_its_names_once() {
        each_seed(FOLDER, "queries", super::queries);
    }
}
