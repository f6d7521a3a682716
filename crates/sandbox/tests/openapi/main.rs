//! Every operation that the sandbox has, held against Twilio's own OpenAPI documents: there is such an operation, a
//! story calls it with success, and its status and its body are what the document says.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::format_push_string,
    reason = "the helpers of tests may fail like tests, and need not be quick"
)]

#[path = "../actor/mod.rs"]
mod actor;
mod judge;
mod story;

use ringfence_sandbox::{OperationName, operations};

use judge::Judge;

/// Products without a published document.
fn has_document(operation: &OperationName) -> bool {
    // Media and recordings are files at addresses that the documents only mention.
    let is_file = [".wav", ".mp3"].iter().any(|ending| operation.path.ends_with(ending));
    operation.product != "webhooks" && !is_file
}

#[test]
fn every_operation_is_one_of_twilios() {
    let judge = Judge::new();
    let unknown: Vec<_> =
        operations().filter(has_document).filter(|operation| !judge.knows(operation)).collect();
    assert!(unknown.is_empty(), "no document has these: {unknown:#?}");
}

#[test]
fn no_operation_stands_twice() {
    let mut all: Vec<_> = operations().collect();
    all.sort_unstable();
    let twice: Vec<_> = all.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_what_twilios_documents_say() {
    let mut judge = Judge::new();
    story::tell(&mut judge).await;
    let untold: Vec<_> =
        operations().filter(has_document).filter(|operation| !judge.was_called(operation)).collect();
    assert!(judge.complaints.is_empty(), "{}", judge.complaints.join("\n"));
    assert!(untold.is_empty(), "the story calls none of these with success: {untold:#?}");
}
