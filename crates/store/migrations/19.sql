-- Rotations of auth tokens that are under way, and tokens that win over the configured ones until these change.
CREATE TABLE token_rotations (
    account TEXT PRIMARY KEY,
    generation {int} NOT NULL,
    step TEXT NOT NULL,
    old_token {bytes} NOT NULL,
    new_token {bytes},
    begun_at {int} NOT NULL,
    since {int} NOT NULL,
    seen_new_at {int},
    seen_old_at {int}
) {strict};
CREATE TABLE rotated_tokens (
    account TEXT PRIMARY KEY,
    generation {int} NOT NULL,
    token {bytes} NOT NULL,
    replaced TEXT NOT NULL,
    promoted_at {int} NOT NULL,
    confirmed_at {int}
) {strict};

-- Counts up whenever what nodes ask Twilio with, or verify webhooks with, becomes different because of a rotation.
CREATE TABLE token_generation (
    one {int} PRIMARY KEY,
    generation {int} NOT NULL
) {strict};
INSERT INTO token_generation (one, generation) VALUES (1, 0);

-- The generation that a node has taken over, its gate and its egress included.
ALTER TABLE nodes ADD COLUMN token_generation {int} NOT NULL DEFAULT 0;
