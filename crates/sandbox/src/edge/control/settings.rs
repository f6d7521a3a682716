//! `/_sandbox/settings`: what can be set while the sandbox runs.

use std::sync::Arc;

use axum::extract::State;
use serde_json::Value;

use super::{Json, Problem, explain};
use crate::edge;
use crate::settings::Settings;

pub(super) async fn show(State(state): State<Arc<edge::State>>) -> Json<Settings> {
    Json(state.engine.with(|world| world.settings.clone()))
}

/// Changes what is named and leaves the rest, at any depth (RFC 7396). Counts from the next moment on.
pub(super) async fn change(
    State(state): State<Arc<edge::State>>,
    Json(patch): Json<Value>,
) -> Result<Json<Settings>, Problem> {
    state.engine.with(|world| {
        let mut value =
            serde_json::to_value(&world.settings).expect("settings have text keys and finite numbers");
        merge(&mut value, patch);
        if let Some((name, limit)) = too_long(&value, "") {
            return Err(Problem::bad_request(format!("`{name}` is longer than ten years"))
                .hint(format!("at most {limit}")));
        }
        let settings: Settings = explain::read(value)
            .map_err(|problem| problem.hint_if_none("GET /_sandbox/settings shows what there is"))?;
        settings.check().map_err(Problem::bad_request)?;
        world.change_settings(settings.clone());
        Ok(Json(settings))
    })
}

/// `null` takes a setting away, so that its default comes back.
fn merge(value: &mut Value, patch: Value) {
    match (value, patch) {
        (Value::Object(value), Value::Object(patch)) => {
            for (name, patch) in patch {
                if patch.is_null() {
                    value.remove(&name);
                } else {
                    merge(value.entry(name).or_insert(Value::Null), patch);
                }
            }
        }
        (value, patch) => *value = patch,
    }
}

/// The first time that nobody waits for, as its name ends, and what it may be at most.
fn too_long(value: &Value, name: &str) -> Option<(String, u64)> {
    const TEN_YEARS_S: u64 = 10 * 366 * 24 * 3600;
    if let Value::Object(fields) = value {
        let dot = if name.is_empty() { "" } else { "." };
        return fields.iter().find_map(|(field, value)| too_long(value, &format!("{name}{dot}{field}")));
    }
    let limit = match name {
        _ if name.ends_with("_ms") => TEN_YEARS_S * 1000,
        _ if name.ends_with("_s") => TEN_YEARS_S,
        _ => return None,
    };
    value.as_u64().filter(|given| *given > limit).map(|_| (name.to_owned(), limit))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_named_changes() {
        let mut value = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": 4});
        merge(&mut value, json!({"b": {"c": 5}, "e": null}));
        assert_eq!(value, json!({"a": 1, "b": {"c": 5, "d": 3}}));
    }
}
