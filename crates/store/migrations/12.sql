-- What things cost, as Twilio's Pricing API told an account with its own credentials.
CREATE TABLE prices (
    account    TEXT PRIMARY KEY,
    version    {int} NOT NULL,
    fetched_at {int} NOT NULL,
    document   TEXT NOT NULL
) {strict};
