//! What the documentation says of this crate, held against it. Not in the published package, which has no `docs/`.

use ringfence_breaker::price_book::Fee;

#[test]
fn every_fee_stands_in_the_documentation_with_its_price() {
    let page = include_str!("../../../docs/prices.md");
    for fee in Fee::ALL {
        let row = format!("| `{fee}` | {} |", fee.built_in());
        assert!(page.contains(&row), "docs/prices.md lacks the row that begins with {row}");
    }
}
