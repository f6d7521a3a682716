//! From method and path to an operation.

use std::collections::HashMap;

use super::{Operation, Product, Refusal};

/// The paths of each product in a radix tree.
#[derive(Debug)]
pub(crate) struct Router {
    products: HashMap<Product, matchit::Router<Vec<&'static Operation>>>,
}

/// An operation, and the parameters of its path.
type Found = (&'static Operation, Vec<(String, String)>);

impl Router {
    pub(crate) fn new(operations: impl Iterator<Item = &'static Operation>) -> Self {
        let mut by_path: HashMap<(Product, String), Vec<&'static Operation>> = HashMap::new();
        for operation in operations {
            by_path
                .entry((operation.product, without_json(operation.path).to_owned()))
                .or_default()
                .push(operation);
        }
        let mut products: HashMap<Product, matchit::Router<Vec<&'static Operation>>> = HashMap::new();
        for ((product, path), operations) in by_path {
            products
                .entry(product)
                .or_default()
                .insert(path.clone(), operations)
                .unwrap_or_else(|error| unreachable!("{path} stands in the table twice: {error}"));
        }
        Self { products }
    }

    /// The operation that a request means. Without a product all are tried: their paths hardly collide, and where
    /// they do, [`Product::ALL`] has the more useful one first.
    pub(crate) fn find(
        &self,
        method: &http::Method,
        product: Option<Product>,
        path: &str,
    ) -> Result<Found, Refusal> {
        let mut wrong_method = false;
        for product in Product::ALL.into_iter().filter(|it| product.is_none_or(|wanted| wanted == *it)) {
            let Some(Ok(matched)) = self.products.get(&product).map(|paths| paths.at(without_json(path)))
            else {
                continue;
            };
            let Some(operation) = matched.value.iter().find(|it| it.method.as_str() == method.as_str())
            else {
                wrong_method = true;
                continue;
            };
            let decode =
                |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
            let params =
                matched.params.iter().map(|(name, value)| (name.to_owned(), decode(value))).collect();
            return Ok((operation, params));
        }
        Err(if wrong_method {
            Refusal::method_not_allowed(method.as_str(), path)
        } else {
            Refusal::not_found(path)
        })
    }
}

/// The v2010 API names its format at the end of the path. The sandbox speaks JSON only, asked for or not.
fn without_json(path: &str) -> &str {
    path.strip_suffix(".json").unwrap_or(path)
}
