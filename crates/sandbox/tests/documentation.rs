//! The page about the sandbox lists what the code has.

#[path = "../examples/operations.rs"]
#[expect(dead_code, reason = "its `main` writes the page; here it is only compared")]
mod operations;

#[test]
fn the_page_lists_every_operation() {
    let page = std::fs::read_to_string(operations::path()).unwrap();
    assert!(
        page == operations::rewritten(&page),
        "docs/sandbox.md is stale. Run: cargo run -p ringfence-sandbox --example operations"
    );
}
