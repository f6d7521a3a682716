-- What is forgotten is found without reading what stays: each batch is a write, and on SQLite everybody waits for it.
CREATE INDEX outbox_ended ON outbox (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX observations_processed ON observations (processed_at) WHERE processed_at IS NOT NULL;
CREATE INDEX sign_ins_old ON sign_ins (at, id);
CREATE INDEX user_codes_used ON user_codes (used_at) WHERE used_at IS NOT NULL;
CREATE INDEX user_devices_ended ON user_devices (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX user_devices_expired ON user_devices (expires_at);
