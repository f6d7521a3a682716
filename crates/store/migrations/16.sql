-- What the daily examination found and has not seen mended yet: each is told once, and once more when it is mended.
CREATE TABLE findings (
    check_name TEXT NOT NULL,
    account TEXT NOT NULL,
    place TEXT NOT NULL,
    severity TEXT NOT NULL,
    since {int} NOT NULL,
    PRIMARY KEY (check_name, account, place)
) {strict};
