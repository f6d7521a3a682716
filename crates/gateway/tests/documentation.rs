//! The page about the metrics says what the code has.

#[path = "../examples/metrics.rs"]
#[expect(dead_code, reason = "its `main` writes the page; here it is only compared")]
mod metrics;

#[test]
fn the_page_about_metrics_is_what_the_code_has() {
    let page = std::fs::read_to_string(metrics::path()).unwrap();
    assert!(
        page == metrics::rewritten(&page),
        "docs/metrics.md is stale. Run: cargo run -p ringfence-gateway --example metrics"
    );
}
