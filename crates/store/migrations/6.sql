-- The most that a breaker had seen on each day: what pictures of spending are drawn from.
CREATE TABLE readings (
    limit_name TEXT NOT NULL,
    subject    TEXT NOT NULL,
    day        {int} NOT NULL,
    most       {int} NOT NULL,
    PRIMARY KEY (limit_name, subject, day)
) {strict};
CREATE INDEX readings_by_day ON readings (day);
-- The next secret of a trusted device, while it is on its way, and those that were used up or lost.
ALTER TABLE devices ADD COLUMN next_hash {bytes};
ALTER TABLE devices ADD COLUMN next_since {int};
ALTER TABLE devices ADD COLUMN used_up {bytes};
