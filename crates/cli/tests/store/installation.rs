//! A folder with a configuration and what its commands make there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use ringfence_store::{Keys, Location, MasterKey, Store};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;

/// What a run of the program left.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        assert_eq!(self.code, expected, "\nstdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, expected: &str) -> Self {
        assert!(self.out.contains(expected), "{expected:?} is not in stdout:\n{}", self.out);
        self
    }

    #[track_caller]
    pub(crate) fn complains(self, expected: &str) -> Self {
        assert!(self.err.contains(expected), "{expected:?} is not in stderr:\n{}", self.err);
        self
    }

    #[track_caller]
    pub(crate) fn prints_nothing(self) -> Self {
        assert_eq!(self.out, "", "nothing belongs on stdout");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).expect("JSON on stdout")
    }
}

/// An installation whose store is `ringfence.db` beside its configuration.
pub(crate) struct Installation(TempDir);

impl Installation {
    pub(crate) fn new() -> Self {
        Self::with("[store]\nurl = \"sqlite:ringfence.db\"\n")
    }

    /// With these lines for its store.
    pub(crate) fn with(store: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let gate = "[listen]\ngate = \"127.0.0.1:8443\"\n\n[[account]]\n\
                    sid = \"AC00000000000000000000000000000000\"\nauth_token = { env = \"TWILIO_AUTH_TOKEN\" }\n\n\
                    [[route]]\npath = \"/twilio/\"\npublic_url = \"https://hooks.example.com\"\n\
                    upstream = \"http://127.0.0.1:3000\"\ncheck = \"signature\"\n";
        fs::write(folder.path().join("ringfence.toml"), format!("{gate}\n{store}")).expect("a file");
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a command with `--config`.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_ringfence"))
            .args(arguments)
            .arg("--config")
            .arg(self.path("ringfence.toml"))
            .env_clear()
            .env("TWILIO_AUTH_TOKEN", "0123456789abcdef0123456789abcdef")
            .env("SUDO_USER", "alice")
            .output()
            .expect("the program starts and ends");
        let run = Run {
            code: output.status.code().expect("an exit code"),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        };
        if let Ok(key) = fs::read_to_string(self.path("ringfence.key")) {
            assert!(!run.out.contains(key.trim()) && !run.err.contains(key.trim()), "the key was printed");
        }
        run
    }

    /// Does with its store what the running service does.
    pub(crate) fn in_store<T>(&self, act: impl AsyncFnOnce(&Store) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let location = Location::Sqlite(self.path("ringfence.db"));
            let keys =
                Keys::InFile { current: self.path("ringfence.key"), previous: Vec::<MasterKey>::new() };
            let store = Store::open(&location, &keys, now()).await.expect("a store");
            let result = act(&store).await;
            store.close().await;
            result
        })
    }

    /// Seals its audit log, as a job of the service does; gives back the end of the chain as a line.
    pub(crate) fn seal(&self) -> String {
        self.in_store(async |store| {
            let sealed = store.seal_audit(now()).await.expect("sealed");
            assert!(!sealed.more, "a log of a test is short");
            sealed.head.expect("something was sealed").to_line()
        })
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).expect("a file");
        shown(&self.path(name))
    }

    /// Changes the database behind everybody's back.
    pub(crate) fn statement(&self, sql: &'static str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(self.path("ringfence.db"));
            let mut connection = SqliteConnection::connect_with(&options).await.expect("the database");
            sqlx::query(sql).execute(&mut connection).await.expect("it is changed");
            connection.close().await.expect("closed");
        });
    }

    /// Replaces bytes of the database behind everybody's back, as who has the disk can.
    #[track_caller]
    pub(crate) fn tamper(&self, from: &str, to: &str) {
        assert_eq!(from.len(), to.len(), "the file keeps its shape");
        let path = self.path("ringfence.db");
        let mut bytes = fs::read(&path).expect("the database");
        let places: Vec<_> =
            (0..bytes.len()).filter(|&at| bytes[at..].starts_with(from.as_bytes())).collect();
        assert!(!places.is_empty(), "{from:?} is not in the database");
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
        fs::write(&path, bytes).expect("the database");
    }
}

pub(crate) fn now() -> Timestamp {
    "2026-11-26T12:00:00Z".parse().expect("a time")
}

pub(crate) fn shown(path: &Path) -> String {
    path.to_str().expect("text").to_owned()
}
