-- Codes that Ringfence itself sends, beside the verifications of applications: of its own it always knows what became.
ALTER TABLE signs ADD COLUMN own_started {int} NOT NULL DEFAULT 0;
ALTER TABLE signs ADD COLUMN own_approved {int} NOT NULL DEFAULT 0;
