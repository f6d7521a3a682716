//! A PostgreSQL of the tests' own: real, private, and gone when they are.
//!
//! One cluster serves all test processes of a user, since making one takes seconds and a database milliseconds. It
//! listens on a socket in a folder of its own and nowhere else. Every process that uses it holds a shared lock on a
//! file; a small shell script, started with the cluster, stops the server and removes the folder some seconds after
//! nobody holds that lock any more. A lock is released by the kernel however a process ends, so a panic leaves nothing.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Stops the server once nobody has needed it for five seconds. `$1` is the folder, `$2` the server's process,
/// `$3` what is removed then.
///
/// Whoever wants the server takes `start` and then a share of `users`; so while this holds `start` and can have `users` for
/// itself, nobody uses it and nobody can begin to.
const REAPER: &str = r#"
cd "$1" || exit 1
idle=0
while [ "$idle" -lt 5 ]; do
    sleep 1
    if flock -n -x users true; then idle=$((idle + 1)); else idle=0; continue; fi
    [ "$idle" -lt 5 ] || flock -x start flock -n -x users sh -c 'kill -INT "$1"; rm -f running' sh "$2" || idle=0
done
while kill -0 "$2" 2>/dev/null; do sleep 0.1; done
rm -rf "$3"
"#;

/// A new and empty database. It is dropped with this value.
#[derive(Debug)]
pub struct PostgresDatabase {
    name: String,
    cluster: Cluster,
}

/// A running cluster.
#[derive(Debug, Clone)]
struct Cluster {
    binaries: PathBuf,
    /// Where the socket is.
    socket: PathBuf,
}

/// This process's shares of clusters, by their folder, held until the process ends.
static SHARES: Mutex<BTreeMap<PathBuf, (File, Cluster)>> = Mutex::new(BTreeMap::new());

/// Whether a commit waits for the disk. The content of a test's database need not survive anything, so none does there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Commits {
    AtOnce,
    OnDisk,
}

impl PostgresDatabase {
    /// A database of its own for a test. `None`, and a line that says so, where PostgreSQL is not installed and nothing
    /// demands it.
    ///
    /// # Panics
    ///
    /// If PostgreSQL is installed and does not work, or is not installed and [demanded](peer_is_required).
    pub fn create() -> Option<Self> {
        Self::create_in(Commits::AtOnce)
    }

    /// The same in a cluster that waits for the disk at each commit, as those of operators do: for measurements.
    ///
    /// # Panics
    ///
    /// As [`create`](Self::create) does.
    pub fn create_durable() -> Option<Self> {
        Self::create_in(Commits::OnDisk)
    }

    fn create_in(commits: Commits) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let binaries = binaries()?;
        let cluster = share_cluster(binaries, commits);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{count}", std::process::id());
        // Another process of this number may have been killed and have left its database.
        cluster.run("dropdb", &["--if-exists", "--force", &name]);
        cluster.run("createdb", &[&name]);
        Some(Self { name, cluster })
    }

    /// Where it is, for a client.
    pub fn url(&self) -> String {
        self.cluster.url(&self.name)
    }

    /// Everything in it, as `pg_dump` writes it.
    pub fn dump(&self) -> Vec<u8> {
        self.cluster.run("pg_dump", &[&self.name]).stdout
    }

    /// What `psql` prints for these statements.
    pub fn psql(&self, statements: &str) -> String {
        self.cluster.psql(&self.name, statements)
    }

    /// Breaks all connections to it, as a restart of the server would.
    pub fn break_connections(&self) {
        let statement = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
            self.name
        );
        self.psql(&statement);
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        // What remains of it goes with the cluster; a panic here would hide that of the test.
        let _ = self.cluster.command("dropdb", &["--if-exists", "--force", &self.name]).output();
    }
}

impl Cluster {
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.args(["-h".as_ref(), self.socket.as_os_str(), "-U".as_ref(), "ringfence".as_ref()]);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let output = self.command(program, arguments).output();
        let output = output.expect("the program is in the folder where it was looked for");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?} failed: {said}");
        output
    }

    fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user=ringfence", self.socket.display())
    }

    fn psql(&self, database: &str, statements: &str) -> String {
        let output =
            self.run("psql", &["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statements, database]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Makes its files, in the folder of the socket, which is made too. They need not survive their making.
    fn initialise(&self) {
        let data = &self.socket;
        fs::create_dir(data).expect("a folder can be made in our own");
        let user = server_user();
        // PostgreSQL refuses to run as root.
        if let Some(user) = &user {
            run_plain(Command::new("chown").arg(user).arg(data));
        }
        let initdb = self.binaries.join("initdb");
        let arguments =
            ["-A", "trust", "-U", "ringfence", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"];
        run_plain(as_user(user.as_deref(), &initdb).args(arguments).arg(data.join("db")));
    }

    /// Starts the server, in a group of processes of its own.
    fn launch(&self, commits: Commits, log: &Path) -> Child {
        let data = &self.socket;
        let mut server = as_user(server_user().as_deref(), &self.binaries.join("postgres"));
        server.arg("-D").arg(data.join("db")).arg("-k").arg(data).args(["-c", "listen_addresses="]);
        let at_once: &[&str] = match commits {
            Commits::AtOnce => &["fsync=off", "full_page_writes=off"],
            Commits::OnDisk => &[],
        };
        for setting in [at_once, &["max_connections=300", "log_min_messages=warning"]].concat() {
            server.args(["-c", setting]);
        }
        let log = File::create(log).expect("a file can be made in our own folder");
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        server.spawn().expect("postgres, which is there, can be started")
    }

    fn wait_until_ready(&self, log: &Path) {
        let is_up = (0..600).any(|_| {
            let ready = self.is_ready();
            if !ready {
                // `pg_isready` says at once that there is no socket yet.
                let _ = Command::new("sleep").arg("0.1").status();
            }
            ready
        });
        assert!(is_up, "PostgreSQL did not start: {}", fs::read_to_string(log).unwrap_or_default());
    }

    fn is_ready(&self) -> bool {
        let output = self.command("pg_isready", &["-q", "-t", "10", "-d", "postgres"]).status();
        output.is_ok_and(|status| status.success())
    }
}

/// Whether a program that a test needs must be there: `RINGFENCE_REQUIRE_PEERS` names it (`postgresql pebble aiosmtpd`), or is 1
/// and means all of them.
#[expect(clippy::disallowed_methods, reason = "a test is an edge that may ask what the machine should have")]
pub fn peer_is_required(name: &str) -> bool {
    let required = std::env::var("RINGFENCE_REQUIRE_PEERS").unwrap_or_default();
    required == "1" || required.split_whitespace().any(|it| it == name)
}

/// Those of PostgreSQL, or a line that says that they are missing.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn binaries() -> Option<PathBuf> {
    let found = find_binaries();
    if found.is_none() {
        assert!(
            !peer_is_required("postgresql"),
            "PostgreSQL is missing (Debian: apt-get install postgresql)"
        );
        println!("skipped: PostgreSQL is not installed (Debian: apt-get install postgresql)");
    }
    found
}

/// The folder with `initdb` and `postgres`: of the newest version under Debian's, or on the path.
#[expect(clippy::disallowed_methods, reason = "where programs are is a question to the environment")]
fn find_binaries() -> Option<PathBuf> {
    let is_complete =
        |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file());
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter_map(|path| Some((path.file_name()?.to_str()?.parse::<u32>().ok()?, path.join("bin"))))
        .collect();
    versions.sort();
    let debian = versions.into_iter().rev().map(|(_, folder)| folder).find(is_complete);
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian.or_else(|| std::env::split_paths(&path).find(is_complete))
}

/// The cluster of all test processes, started if it does not run, and this process's share of it.
fn share_cluster(binaries: PathBuf, commits: Commits) -> Cluster {
    // Not under the target folder: the path of a socket has at most 107 bytes.
    let what_for = match commits {
        Commits::AtOnce => "tests",
        Commits::OnDisk => "bench",
    };
    let folder = std::env::temp_dir().join(format!("ringfence-{what_for}-{}", own_uid()));
    let mut shares = SHARES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, cluster)) = shares.get(&folder) {
        return cluster.clone();
    }
    fs::create_dir_all(&folder).expect("a folder can be made in the temporary one");
    assert_eq!(
        fs::metadata(&folder).expect("the folder was just made").uid(),
        own_uid(),
        "{} is another user's",
        folder.display()
    );
    // The server may run as another user, who has to reach its own folder below.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)).expect("the folder is ours");

    let lock_file = |name: &str| {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(folder.join(name));
        file.expect("a file can be made in our own folder")
    };
    let start = lock_file("start");
    start.lock().expect("a file can be locked");
    let users = lock_file("users");
    users.lock_shared().expect("a file can be locked");

    let running = fs::read_to_string(folder.join("running")).unwrap_or_default();
    let cluster = Cluster { binaries, socket: PathBuf::from(running.trim()) };
    let cluster = if !running.is_empty() && cluster.is_ready() {
        cluster
    } else {
        start_cluster(&folder, cluster.binaries, commits)
    };
    drop(start);
    shares.insert(folder, (users, cluster.clone()));
    cluster
}

#[expect(clippy::zombie_processes, reason = "the server and its reaper outlive this process, by design")]
fn start_cluster(folder: &Path, binaries: PathBuf, commits: Commits) -> Cluster {
    let data = folder.join(format!("new-{}", std::process::id()));
    let _ = fs::remove_dir_all(&data); // of a process of this number that was killed just here
    let cluster = Cluster { binaries, socket: data };
    cluster.initialise();
    let log = folder.join("log");
    // In a group of its own, so that an interrupted test run does not take it along.
    let server = cluster.launch(commits, &log);
    // `setpriv` becomes the server, so the process is the same.
    let process = server.id().to_string();
    // Whoever is the last switches off the light.
    let mut reaper = Command::new("sh");
    reaper.args(["-c", REAPER, "sh"]).arg(folder).arg(&process).arg(&cluster.socket);
    reaper.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    reaper.spawn().expect("there is a shell");
    cluster.wait_until_ready(&log);
    let mut running = File::create(folder.join("running")).expect("a file can be made in our own folder");
    write!(running, "{}", cluster.socket.display()).expect("a line can be written");
    cluster
}

/// A server with one database, that nobody else uses: a test may break it off and start it again.
///
/// It is stopped, and its folder removed, with this value.
#[derive(Debug)]
pub struct PostgresServer {
    folder: PathBuf,
    cluster: Cluster,
    server: Child,
}

impl PostgresServer {
    /// `None`, and a line that says so, where PostgreSQL is not installed and nothing demands it.
    ///
    /// # Panics
    ///
    /// As [`PostgresDatabase::create`] does.
    pub fn start() -> Option<Self> {
        let binaries = binaries()?;
        // Not under the target folder: the path of a socket has at most 107 bytes.
        let folder = std::env::temp_dir().join(format!("ringfence-alone-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder); // of a process of this number that was killed just here
        fs::create_dir(&folder).expect("a folder can be made in the temporary one");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)).expect("the folder is ours");
        let cluster = Cluster { binaries, socket: folder.join("data") };
        cluster.initialise();
        let server = cluster.launch(Commits::AtOnce, &folder.join("log"));
        let started = Self { folder, cluster, server };
        started.cluster.wait_until_ready(&started.log());
        started.cluster.run("createdb", &["ringfence"]);
        Some(started)
    }

    /// Where its database is, for a client.
    pub fn url(&self) -> String {
        self.cluster.url("ringfence")
    }

    /// What `psql` prints for these statements.
    pub fn psql(&self, statements: &str) -> String {
        self.cluster.psql("ringfence", statements)
    }

    /// Breaks it off in the middle of whatever it does: no transaction ends, nothing is tidied up, and what was committed is
    /// found again in its log (PostgreSQL 18, section 18.5, "Immediate Shutdown").
    pub fn break_off(&mut self) {
        run_plain(Command::new("kill").args(["-QUIT", &self.server.id().to_string()]));
        self.server.wait().expect("it is ours");
    }

    /// After [`break_off`](Self::break_off): waits until it has recovered.
    pub fn start_again(&mut self) {
        self.server = self.cluster.launch(Commits::AtOnce, &self.log());
        self.cluster.wait_until_ready(&self.log());
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The user that PostgreSQL runs as, where we are root: Debian's package makes `postgres`.
fn server_user() -> Option<String> {
    if own_uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let has = |name: &str| users.lines().any(|line| line.split(':').next() == Some(name));
    Some(["postgres", "nobody"].into_iter().find(|name| has(name)).unwrap_or("65534").to_owned())
}

fn as_user(user: Option<&str>, program: &Path) -> Command {
    let Some(user) = user else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--clear-groups", "--"]).arg(program).current_dir("/");
    command
}

fn run_plain(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.expect("the program can be started");
    assert!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
}

fn own_uid() -> u32 {
    fs::metadata("/proc/self").expect("/proc is there on Linux").uid()
}
