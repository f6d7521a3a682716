-- Whose codes are entered: of each prefix, how many codes went to numbers that had entered none lately, how many of these then
-- did, and when the week that is counted began; and the numbers that have.
ALTER TABLE conversions ADD COLUMN newcomers_sent {int} NOT NULL DEFAULT 0;
ALTER TABLE conversions ADD COLUMN newcomers_entered {int} NOT NULL DEFAULT 0;
ALTER TABLE conversions ADD COLUMN newcomers_since {int} NOT NULL DEFAULT 0;
CREATE TABLE known_numbers (
    application TEXT NOT NULL,
    number_tag  TEXT NOT NULL,
    entered_at  {int} NOT NULL,
    unentered   {int} NOT NULL,
    PRIMARY KEY (application, number_tag)
) {strict};
CREATE INDEX known_numbers_entered ON known_numbers (entered_at);
