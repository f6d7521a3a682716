//! `ringfence shared-keys` at a running node: what it compares, does and knows.

use ringfence_control::views::{SharedKeyPlan, SharedKeys, ShownSharedKey};
use serde_json::json;

use super::Api;
use super::acts::find;
use crate::commands::with_store::block_on;
use crate::exit::Failure;

/// `ringfence shared-keys plan`.
pub(crate) fn plan(api: &Api) -> Result<SharedKeyPlan, Failure> {
    block_on(api.get("/v1/shared-keys/plan", &[]))
}

/// `ringfence shared-keys apply`.
pub(crate) fn apply(api: &Api) -> Result<SharedKeyPlan, Failure> {
    block_on(api.post("/v1/shared-keys/apply", &json!({})))
}

/// `ringfence shared-keys status`.
pub(crate) fn list(api: &Api) -> Result<SharedKeys, Failure> {
    block_on(api.get("/v1/shared-keys", &[]))
}

/// `ringfence shared-keys rotate`.
pub(crate) fn rotate(api: &Api, account: &str, reason: &str, hold: bool) -> Result<SharedKeyPlan, Failure> {
    block_on(async {
        let sid = find(&api.accounts().await?, account, api)?.sid;
        let body = json!({ "reason": reason, "hold": hold });
        api.post(&format!("/v1/accounts/{sid}/shared-key/rotate"), &body).await
    })
}

/// `ringfence shared-keys show`.
pub(crate) fn show(api: &Api, account: &str, reason: Option<&str>) -> Result<ShownSharedKey, Failure> {
    block_on(async {
        let sid = find(&api.accounts().await?, account, api)?.sid;
        let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
        api.post(&format!("/v1/accounts/{sid}/shared-key/show"), &body).await
    })
}

/// `ringfence shared-keys undo`.
pub(crate) fn undo(api: &Api, account: &str, reason: &str) -> Result<SharedKeyPlan, Failure> {
    block_on(async {
        let sid = find(&api.accounts().await?, account, api)?.sid;
        api.post(&format!("/v1/accounts/{sid}/shared-key/undo"), &json!({ "reason": reason })).await
    })
}
