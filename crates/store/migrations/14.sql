-- Who made a credential (a kind and a name, as the audit log has them), and when it last asked for what costs something.
ALTER TABLE credentials ADD COLUMN created_by TEXT;
ALTER TABLE credentials ADD COLUMN used_at {int};

-- Since when a limit says what it says. Of those there are nobody noted it: since they hold.
ALTER TABLE limits ADD COLUMN changed_at {int} NOT NULL DEFAULT 0;
UPDATE limits SET changed_at = applied_at;

-- What came of requests under each limit, by what it said and by day: whether the limit is right, and the price book.
CREATE TABLE tallies (
    limit_name         TEXT NOT NULL,
    limit_hash         TEXT NOT NULL,
    account            TEXT NOT NULL,
    operation          TEXT NOT NULL,
    day                {int} NOT NULL,
    admitted           {int} NOT NULL,
    refused            {int} NOT NULL,
    refused_worth      {int} NOT NULL,
    would_refuse       {int} NOT NULL,
    would_refuse_worth {int} NOT NULL,
    would_wait         {int} NOT NULL,
    unread             {int} NOT NULL,
    priced             {int} NOT NULL,
    worst              {int} NOT NULL,
    spent              {int} NOT NULL,
    under              {int} NOT NULL,
    under_by           {int} NOT NULL,
    unpriced           {int} NOT NULL,
    PRIMARY KEY (limit_name, limit_hash, account, operation, day)
) {strict};
CREATE INDEX tallies_by_day ON tallies (day);

-- Pages of requests are read in order: of all, and of one account.
DROP INDEX reservations_open;
CREATE INDEX reservations_open ON reservations (account, admitted_at, id) WHERE ended_at IS NULL;
CREATE INDEX reservations_admitted ON reservations (admitted_at, id) WHERE ended_at IS NULL;
DROP INDEX reservations_ended;
CREATE INDEX reservations_ended ON reservations (ended_at, id) WHERE ended_at IS NOT NULL;
CREATE INDEX reservations_ended_of ON reservations (account, ended_at, id) WHERE ended_at IS NOT NULL;
