//! Processes under test: started on a core of their own, read from `/proc`, stopped with their children.

use crate::Outcome;
use std::fs;
use std::io;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// CPU time that processes have used, in seconds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
    /// Both together, by the scheduler's clock: `user` and `system` are rounded to 10 ms.
    pub(crate) total: f64,
}

impl Cpu {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            user: self.user - before.user,
            system: self.system - before.system,
            total: self.total - before.total,
        }
    }
}

/// A server under test. Dropping it ends it and all its children.
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// `core`: the one CPU it may use, or none for all. Its output goes to `log`.
    pub(crate) fn start(mut command: Command, core: Option<usize>, log: &std::path::Path) -> Outcome<Self> {
        if let Some(core) = core {
            let mut pinned = Command::new("taskset");
            pinned.arg("-c").arg(core.to_string()).arg(command.get_program()).args(command.get_args());
            for (name, value) in command.get_envs() {
                match value {
                    Some(value) => pinned.env(name, value),
                    None => pinned.env_remove(name),
                };
            }
            command = pinned;
        }
        let output = fs::File::create(log)?;
        let program = format!("{command:?}");
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .map_err(|error| format!("cannot start {program}: {error}"))?;
        Ok(Self { child })
    }

    /// The process and all its descendants; `taskset` becomes the program, so the number stays.
    pub(crate) fn pids(&self) -> Vec<u32> {
        family(self.child.id())
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Server {
    /// SIGTERM first: nginx's master would leave its worker behind if it were killed outright.
    fn drop(&mut self) {
        let pids = self.pids();
        signal("-TERM", &pids[..1]);
        let deadline = Instant::now() + Duration::from_secs(3);
        while !self.has_ended() && Instant::now() < deadline {
            pause(Duration::from_millis(5));
        }
        let left: Vec<u32> = pids.into_iter().filter(|pid| is_running(*pid)).collect();
        signal("-KILL", &left);
        let _ = self.child.wait(); // Only to leave no zombie: how it ended is of no interest.
    }
}

/// CPU time of the given processes so far. One that has ended counts as nothing.
pub(crate) fn cpu_of(pids: &[u32]) -> Cpu {
    let mut sum = Cpu::default();
    for pid in pids {
        let Some(fields) = stat(*pid) else { continue };
        // Fields 14 and 15 of proc(5), in ticks of 10 ms: the kernel scales them from its exact run time.
        let ticks =
            |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        sum.user += ticks(11) / 100.0;
        sum.system += ticks(12) / 100.0;
        sum.total += run_time(*pid).unwrap_or((ticks(11) + ticks(12)) / 100.0);
    }
    sum
}

/// Resident memory in KiB, summed; pages that an nginx worker shares with its master count twice.
pub(crate) fn resident_kib(pids: &[u32]) -> u64 {
    pids.iter().map(|pid| status_kib(*pid, "VmRSS:")).sum()
}

/// The part of it that is not backed by files: heap and stacks.
pub(crate) fn anonymous_kib(pids: &[u32]) -> u64 {
    pids.iter().map(|pid| status_kib(*pid, "RssAnon:")).sum()
}

/// Moves this process, and every thread and child it starts later, to one CPU.
pub(crate) fn pin_myself(core: usize) -> Outcome {
    let moved = Command::new("taskset")
        .args(["-pc", &core.to_string(), &std::process::id().to_string()])
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("taskset (package util-linux) is needed: {error}"))?;
    if moved.success() { Ok(()) } else { Err(format!("there is no core {core}: two are needed").into()) }
}

/// One thread for load and upstream: two would pay for handing work to each other.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// A port of 127.0.0.1 that nobody listens on.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Where `program` is, if it is installed.
pub(crate) fn find(program: &str) -> Option<std::path::PathBuf> {
    let mut folders = vec!["/usr/sbin".into(), "/usr/local/sbin".into()];
    #[expect(clippy::disallowed_methods, reason = "PATH, to say what is installed: a tool, at the edge")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    folders.into_iter().map(|folder: std::path::PathBuf| folder.join(program)).find(|file| file.is_file())
}

/// Blocks; for waiting on another process outside a measurement.
#[expect(clippy::disallowed_methods, reason = "another process gives no event to wait for")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn signal(name: &str, pids: &[u32]) {
    if !pids.is_empty() {
        let sent = Command::new("kill")
            .arg(name)
            .args(pids.iter().map(u32::to_string))
            .stderr(Stdio::null())
            .status();
        drop(sent); // A process that is gone already is what was wanted.
    }
}

fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields.first().is_some_and(|state| state != "Z"))
}

fn family(root: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
            && let Some(parent) = stat(pid).and_then(|fields| fields.get(1)?.parse::<u32>().ok())
        {
            parents.push((pid, parent));
        }
    }
    let mut members = vec![root];
    let mut next = 0;
    while next < members.len() {
        let parent_pid = members[next];
        members.extend(parents.iter().filter(|(_, parent)| *parent == parent_pid).map(|(pid, _)| *pid));
        next += 1;
    }
    members
}

/// Seconds that the threads of a process have run, where the kernel keeps them (`CONFIG_SCHED_INFO`).
fn run_time(pid: u32) -> Option<f64> {
    let mut nanos = 0.0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        nanos += text.split_whitespace().next()?.parse::<f64>().ok()?;
    }
    Some(nanos / 1e9)
}

/// The fields of `/proc/PID/stat` from the third (the state) on; the second, a name, may hold spaces.
fn stat(pid: u32) -> Option<Vec<String>> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(line.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

fn status_kib(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
