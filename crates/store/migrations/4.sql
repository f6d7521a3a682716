-- Failures in a row of one factor, or of one number of one application, since the last success.
CREATE TABLE failures (
    subject TEXT PRIMARY KEY,
    count   {int} NOT NULL,
    last    {int}
) {strict};
