//! `store-durability`: what the store has answered is on disk.
//!
//! A reservation that was acknowledged and is gone after a power failure is money that may be spent twice, and a trip that
//! is gone lets an account spend on.

use ringfence_store::{Durability, PostgresDurability};

use super::finding::{Check, Finding, Mend};
use crate::notices::Severity;

/// With WAL, anything below FULL loses the last commits in a power failure
/// (<https://www.sqlite.org/pragma.html#pragma_synchronous>).
const SQLITE_FULL: i64 = 2;

/// What is wrong with it.
pub(super) fn check(durability: &Durability) -> Vec<Finding> {
    match durability {
        Durability::Sqlite { synchronous, journal_mode } => sqlite(*synchronous, journal_mode),
        Durability::Postgres(server) => postgres(server),
    }
}

fn sqlite(synchronous: i64, journal_mode: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if synchronous < SQLITE_FULL {
        let word = if synchronous == 0 { "OFF" } else { "NORMAL" };
        findings.push(finding(
            "synchronous",
            format!("SQLite writes with synchronous = {word}"),
            "A power failure takes back reservations and trips that were already answered: what they held may be spent \
             a second time.",
            Mend::by_hand(
                "Ringfence opens its store with FULL, so another program changed it under the same file: use the \
                 released build, and let no other program keep the store open",
            ),
        ));
    }
    if matches!(journal_mode, "off" | "memory") {
        findings.push(finding(
            "journal_mode",
            format!("SQLite keeps its journal in journal_mode = {journal_mode}"),
            "A power failure in the middle of a write leaves a broken store, and with it no memory of what was spent.",
            Mend::by("Turn the file back to WAL while Ringfence is stopped", "sqlite3 ringfence.db 'PRAGMA journal_mode = WAL'"),
        ));
    }
    findings
}

fn postgres(server: &PostgresDurability) -> Vec<Finding> {
    let mut findings = Vec::new();
    if server.synchronous_commit == "off" {
        findings.push(finding(
            "synchronous_commit",
            "synchronous_commit is off in the connections that Ringfence writes with".to_owned(),
            "A crash of the server takes back reservations and trips that were already answered: what they held may be \
             spent a second time. Ringfence asks for `on` in each connection, so something between it and PostgreSQL drops \
             that (a pooler, with ignore_startup_parameters = options).",
            mend_default(server),
        ));
    } else if let Ok(by_default) = &server.by_default
        && by_default.value == "off"
    {
        findings.push(finding(
            "synchronous_commit",
            format!("synchronous_commit is off by default for this role and database ({})", source(&by_default.from)),
            "Ringfence asks for `on` in its own connections, and that alone keeps its commits: a pooler that drops the \
             setting, or another program that writes here, loses what was answered in a crash.",
            mend_default(server),
        ));
    }
    if !server.fsync {
        findings.push(finding(
            "fsync",
            "fsync is off on the PostgreSQL server".to_owned(),
            "The server never waits for the disk: a crash of the machine can lose or break the whole store, whatever \
             synchronous_commit says.",
            system("fsync"),
        ));
    }
    if !server.full_page_writes {
        findings.push(Finding {
            severity: Severity::Warning,
            ..finding(
                "full_page_writes",
                "full_page_writes is off on the PostgreSQL server".to_owned(),
                "A page that was half written when the machine crashed cannot be mended, so the store may come back broken. \
                 Only where the storage writes whole pages or none (ZFS, some managed servers) is it right.",
                system("full_page_writes"),
            )
        });
    }
    findings
}

fn source(from: &str) -> &str {
    match from {
        "database" => "set for the database",
        "user" => "set for the role",
        "database user" => "set for the role in this database",
        "client" => "set by the URL of [store] or the environment",
        "default" => "as PostgreSQL was built",
        _ => "set for the whole server",
    }
}

/// What brings the default back to `on`, there where it was set.
fn mend_default(server: &PostgresDurability) -> Mend {
    let (role, database) = (identifier(&server.role), identifier(&server.database));
    let command = match server.by_default.as_ref().map_or("", |it| it.from.as_str()) {
        "database" => format!("psql -c 'ALTER DATABASE {database} SET synchronous_commit = on'"),
        "user" => format!("psql -c 'ALTER ROLE {role} SET synchronous_commit = on'"),
        "database user" => {
            format!("psql -c 'ALTER ROLE {role} IN DATABASE {database} SET synchronous_commit = on'")
        }
        "client" => {
            return Mend::by_hand(
                "Take synchronous_commit out of the options in the URL of [store], and out of PGOPTIONS",
            );
        }
        _ => return system("synchronous_commit"),
    };
    Mend::by("As an owner of the database, then restart Ringfence", command)
}

fn system(setting: &str) -> Mend {
    Mend::by(
        "As a superuser of the server, or in its parameter group where somebody else runs it",
        format!("psql -c 'ALTER SYSTEM SET {setting} = on' -c 'SELECT pg_reload_conf()'"),
    )
}

/// A name as SQL has it within single quotes of a shell.
fn identifier(name: &str) -> String {
    let is_plain =
        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_plain && !name.is_empty() {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\"").replace('\'', "'\\''"))
    }
}

fn finding(place: &str, what: String, why: &str, mend: Mend) -> Finding {
    Finding {
        check: Check::StoreDurability,
        severity: Severity::Critical,
        account: None,
        place: place.to_owned(),
        what,
        why: why.to_owned(),
        mend,
    }
}

#[cfg(test)]
mod tests {
    use ringfence_store::ByDefault;

    use super::*;

    fn sound() -> PostgresDurability {
        PostgresDurability {
            synchronous_commit: "on".to_owned(),
            by_default: Ok(ByDefault { value: "on".to_owned(), from: "default".to_owned() }),
            fsync: true,
            full_page_writes: true,
            role: "ringfence".to_owned(),
            database: "ringfence".to_owned(),
        }
    }

    fn places(durability: &Durability) -> Vec<String> {
        check(durability).into_iter().map(|finding| finding.place).collect()
    }

    #[test]
    fn a_commit_that_does_not_wait_for_the_disk_is_found_wherever_it_was_set() {
        let off = "off".to_owned();
        let effective = PostgresDurability { synchronous_commit: off.clone(), ..sound() };
        assert_eq!(places(&Durability::Postgres(effective)), ["synchronous_commit"]);
        for (from, command) in [
            ("database", "ALTER DATABASE \"my db\" SET synchronous_commit = on"),
            ("user", "ALTER ROLE ringfence SET synchronous_commit = on"),
            ("database user", "ALTER ROLE ringfence IN DATABASE \"my db\" SET synchronous_commit = on"),
            ("configuration file", "ALTER SYSTEM SET synchronous_commit = on"),
        ] {
            let by_default = PostgresDurability {
                by_default: Ok(ByDefault { value: off.clone(), from: from.to_owned() }),
                database: "my db".to_owned(),
                ..sound()
            };
            let findings = check(&Durability::Postgres(by_default));
            assert_eq!(findings.len(), 1, "{from}");
            let typed = findings[0].mend.command.clone().unwrap_or_default();
            assert!(typed.contains(command), "{from}: {typed}");
        }
        let reckless = PostgresDurability { fsync: false, full_page_writes: false, ..sound() };
        let findings = check(&Durability::Postgres(reckless));
        let told: Vec<_> = findings.iter().map(|it| (it.place.as_str(), it.severity)).collect();
        assert_eq!(told, [("fsync", Severity::Critical), ("full_page_writes", Severity::Warning)]);
    }

    #[test]
    fn a_file_that_is_not_synced_at_each_commit_is_found() {
        let of = |synchronous, journal_mode: &str| {
            places(&Durability::Sqlite { synchronous, journal_mode: journal_mode.to_owned() })
        };
        assert_eq!(of(0, "wal"), ["synchronous"]);
        assert_eq!(of(1, "wal"), ["synchronous"]);
        assert_eq!(of(2, "memory"), ["journal_mode"]);
        assert!(of(2, "wal").is_empty() && of(3, "wal").is_empty());
    }

    #[test]
    fn a_server_that_waits_for_the_disk_is_sound() {
        assert!(places(&Durability::Postgres(sound())).is_empty());
        let with_replica = PostgresDurability { synchronous_commit: "remote_apply".to_owned(), ..sound() };
        assert!(places(&Durability::Postgres(with_replica)).is_empty());
    }
}
