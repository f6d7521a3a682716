"""From sources to artefacts: the static program, the archive, the Debian package. What must not decide about bytes (the folder,
the time, the environment) is the same for everybody, or kept out.
"""

import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys

from . import archive, licences, sbom
from .signing import Unavailable

TARGET = "x86_64-unknown-linux-musl"
# The versions that made the package and the SBOM; others may write other bytes.
CARGO_TOOLS = {"cargo-deb": "3.8.0", "cargo-cyclonedx": "0.5.9"}
# What a build may know of the environment that it was started in: where the tools are, and how to reach the registry.
KEPT = ("PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "SSL_CERT_FILE")
KEPT_BEGINNINGS = ("CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "http_proxy", "https_proxy", "no_proxy")
SHELLS = {"bash": "ringfence", "zsh": "_ringfence", "fish": "ringfence.fish"}
MAINTAINER = "The Ringfence authors <ringfence@users.noreply.github.com>"


def say(text):
    """Progress, beside the results."""
    print(f"== {text}", file=sys.stderr, flush=True)


class Sources:
    """A folder with the sources of one commit, and how it is built: nothing of it depends on who builds, where or when."""

    def __init__(self, folder, commit, time, snapshot):
        self.folder, self.commit, self.time = pathlib.Path(folder), commit, time
        inherited = {
            name: value for name, value in os.environ.items() if name in KEPT or name.lower().startswith(tuple(it.lower() for it in KEPT_BEGINNINGS))
        }
        self.environment = inherited | {
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "SOURCE_DATE_EPOCH": str(time),
            "CARGO_INCREMENTAL": "0",
            "CARGO_TARGET_DIR": str(self.folder / "target"),
        }
        self.metadata = json.loads(self.run("cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={TARGET}"))
        self.version = next(it["version"] for it in self.metadata["packages"] if it["name"] == "ringfence")
        day = datetime.datetime.fromtimestamp(time, datetime.timezone.utc)
        # Debian's tilde sorts before the version that comes.
        self.name = f"{self.version}-snapshot.{commit[:12]}" if snapshot else self.version
        self.debian_version = f"{self.version}~{day:%Y%m%d}.{commit[:12]}-1" if snapshot else f"{self.version}-1"
        self.date = day

    def run(self, *command, quiet=True):
        """Runs a command among the sources and gives what it printed; what it says otherwise is seen when it fails."""
        errors = subprocess.PIPE if quiet else None
        done = subprocess.run(command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=errors, text=True)
        if done.returncode != 0:
            raise Unavailable(f"{' '.join(map(str, command))} failed ({done.returncode})\n{done.stderr or ''}{done.stdout}".rstrip())
        return done.stdout


def build(sources, out):
    """Makes all artefacts of a commit in the folder `out`, which has nothing else then."""
    check_tools(sources, CARGO_TOOLS)
    out.mkdir(parents=True)
    say(f"the static program of {sources.commit[:12]} ({TARGET}); from nothing this takes minutes")
    program = build_program(sources)
    say("manual pages, completions, licences")
    files = write_files(sources, program)
    shutil.copyfile(program, out / f"ringfence-{sources.name}-x86_64-linux")
    (out / f"ringfence-{sources.name}-x86_64-linux").chmod(0o755)
    say("the archive")
    write_archive(sources, program, files, out / f"ringfence-{sources.name}-x86_64-linux.tar.gz")
    say("the Debian package (cargo-deb)")
    build_deb(sources, out)
    say("what is in it (cargo-cyclonedx)")
    sbom.write(sources, TARGET, out / f"ringfence-{sources.name}-x86_64-linux.cdx.json")
    return program.stat().st_size


def build_program(sources):
    """The program, and where it is."""
    program = sources.folder / "target" / "ringfence-static"
    sources.run("packaging/build-static", str(program), quiet=False)
    return program


def write_files(sources, program):
    """What the program says of itself, and what has to go with it; the package takes them from this folder."""
    files = sources.folder / "target" / "package-files"
    shutil.rmtree(files, ignore_errors=True)
    for folder in ("man", "completions"):
        (files / folder).mkdir(parents=True)
    sources.run(str(program), "man", "--dir", str(files / "man"))
    for shell, name in SHELLS.items():
        (files / "completions" / name).write_text(sources.run(str(program), "completions", shell))
    (files / "THIRD-PARTY-LICENSES").write_text(licences.text(licences.linked_packages(sources.metadata, sbom.linked(sources, TARGET))))
    # Debian wants a changelog of its own form; ours is for people and goes along.
    (files / "changelog").write_text(
        f"ringfence ({sources.debian_version}) unstable; urgency=medium\n\n"
        "  * What is different for you: /usr/share/doc/ringfence/changelog.gz\n\n"
        f" -- {MAINTAINER}  {sources.date:%a, %d %b %Y %H:%M:%S} +0000\n"
    )
    return files


def write_archive(sources, program, files, path):
    """The archive for systems without Debian's packages."""
    folder = files.parent / path.name.removesuffix(".tar.gz")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(files / "man", folder / "man" / "man1")
    shutil.copytree(files / "completions", folder / "completions")
    (folder / "systemd").mkdir()
    for unit in [*(sources.folder / "packaging").glob("*.service"), *(sources.folder / "packaging").glob("*.socket")]:
        shutil.copyfile(unit, folder / "systemd" / unit.name)
    shutil.copyfile(sources.folder / "packaging/ringfence.sysusers", folder / "systemd/ringfence.sysusers")
    shutil.copyfile(sources.folder / "crates/cli/ringfence.example.toml", folder / "ringfence.example.toml")
    for name in ("README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE-APACHE", "LICENSE-MIT"):
        shutil.copyfile(sources.folder / name, folder / name)
    shutil.copytree(sources.folder / "docs/examples", folder / "docs/examples")
    for page in (sources.folder / "docs").glob("*.md"):
        shutil.copyfile(page, folder / "docs" / page.name)
    shutil.copyfile(files / "THIRD-PARTY-LICENSES", folder / "THIRD-PARTY-LICENSES")
    shutil.copy(program, folder / "ringfence")
    archive.write_tar_gz(path, folder, sources.time)


def build_deb(sources, out):
    """The package around the program that was built: crates/cli/Cargo.toml says what is in it."""
    path = out / f"ringfence_{sources.debian_version}_amd64.deb"
    options = ("--no-build", "--no-strip", "--profile=dist", f"--target={TARGET}", f"--deb-version={sources.debian_version}", f"--output={path}")
    sources.run("cargo", "deb", "--package=ringfence", *options)
    return path


def check_tools(sources, cargo_tools):
    """Says what is missing before minutes were spent."""
    missing = []
    for tool in cargo_tools:
        if shutil.which(tool, path=sources.environment["PATH"]) is None:
            missing.append(f"{tool} is missing (cargo install --locked {tool}@{CARGO_TOOLS[tool]})")
    for tool, package in {"musl-gcc": "musl-tools", "gzip": "gzip"}.items():
        if shutil.which(tool, path=sources.environment["PATH"]) is None:
            missing.append(f"{tool} is missing (Debian: apt-get install {package})")
    if missing:
        raise Unavailable("\n".join(missing))


def tools(sources):
    """The versions of what the bytes depend on beside the sources."""

    def version(*command):
        return sources.run(*command).strip().splitlines()[0]

    return {
        "rustc": version("rustc", "--version"),
        "cargo": version("cargo", "--version"),
        "cc": version("cc", "--version"),
        "ld": version("ld", "--version"),
        "gzip": version("gzip", "--version"),
        "cargo-deb": version("cargo", "deb", "--version"),
        "cargo-cyclonedx": version("cargo", "cyclonedx", "--version"),
    }
