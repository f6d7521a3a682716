//! What values of other crates look like as JSON, for the documents that describe views.

use schemars::{Schema, SchemaGenerator, json_schema};

/// `AC…`.
pub(crate) fn account_sid(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^AC[0-9a-fA-F]{32}$" })
}

pub(crate) fn maybe_account_sid(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "pattern": "^AC[0-9a-fA-F]{32}$" })
}

/// Two capital letters and 32 hexadecimal digits.
pub(crate) fn maybe_sid(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "pattern": "^[A-Z]{2}[0-9a-fA-F]{32}$" })
}

/// `SK…`.
pub(crate) fn credential_sid(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^SK[0-9a-fA-F]{32}$" })
}

/// `UT…`.
pub(crate) fn maybe_trigger_sid(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "pattern": "^UT[0-9a-fA-F]{32}$" })
}

pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

pub(crate) fn maybe_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "format": "date-time" })
}

/// A decimal number as a text: no binary fraction is exact.
pub(crate) fn decimal(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$" })
}

pub(crate) fn maybe_decimal(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "pattern": "^-?[0-9]+(\\.[0-9]+)?$" })
}

pub(crate) fn per(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["account", "together", "prefix"] })
}

pub(crate) fn measure(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["price", "usage", "count", "delivery", "conversion"] })
}

pub(crate) fn reset(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["manual", "next-window"] })
}

pub(crate) fn action(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "enum": ["suspend", "end-calls", "cancel-queued", "close-geo", "revoke-keys", "notify"]
    })
}

pub(crate) fn actions(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": action(generator) })
}
