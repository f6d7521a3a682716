"""Signatures of files by ssh-keygen (its man page: -Y sign, -Y verify), and who made them."""

import pathlib
import shutil
import subprocess

# What is signed under another namespace (git's commits, files of other projects) is no release of ours.
NAMESPACE = "ringfence-release"


class Refused(Exception):
    """What was downloaded is not what was released; the text says what is wrong, and where."""


class Unavailable(Exception):
    """A tool or a file that is needed is not there; the text says how to get it."""


def signature_of(path):
    """Where the signature of a file lies: beside it."""
    return path.with_name(path.name + ".sig")


def sign(path, key):
    """Signs a file by a private key, or by a public one whose private half ssh-agent holds. Where that fails, an earlier signature
    stays.
    """
    command = [ssh_keygen(), "-Y", "sign", "-q", "-n", NAMESPACE, "-f", str(key)]
    made = subprocess.run(command, input=path.read_bytes(), capture_output=True)
    if made.returncode != 0 or not made.stdout:
        raise Unavailable(f"{path.name} could not be signed by {key}: {made.stderr.decode(errors='replace').strip()}")
    signature_of(path).write_bytes(made.stdout)


def signer(path, content, allowed):
    """Who of the file `allowed` signed these bytes of the file; refused where it was nobody of it, or they are others now."""
    signature = signature_of(path)
    if not signature.is_file():
        raise Refused(f"{signature.name} is missing: nobody has signed {path.name}")
    found = subprocess.run(
        [ssh_keygen(), "-Y", "find-principals", "-f", str(allowed), "-s", str(signature)], capture_output=True, text=True
    )
    for principal in found.stdout.splitlines():
        command = [ssh_keygen(), "-Y", "verify", "-f", str(allowed), "-I", principal, "-n", NAMESPACE, "-s", str(signature)]
        if subprocess.run(command, input=content, capture_output=True).returncode == 0:
            return principal
    if found.stdout.strip():
        raise Refused(f"{path.name} is not what was signed: {signature.name} belongs to another content or another purpose")
    raise Refused(f"{path.name} was signed by somebody who is not in {pathlib.Path(allowed).name}, or not signed at all")


def ssh_keygen():
    """The program that signs and verifies."""
    found = shutil.which("ssh-keygen")
    if found is None:
        raise Unavailable("ssh-keygen is missing (Debian: apt-get install openssh-client; version 8.9 or later)")
    return found
