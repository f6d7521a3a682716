"""What a release says of itself: its sums (SHA256SUMS) and where it comes from (provenance.json), written and examined.

The provenance is an in-toto Statement v1 with the predicate https://slsa.dev/provenance/v1. It is the builder's own word:
docs/releases.md says what that is worth.
"""

import hashlib
import json
import re

from . import signing
from .signing import Refused, Unavailable

SUMS, PROVENANCE = "SHA256SUMS", "provenance.json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
# What the parameters mean is written down there.
BUILD_TYPE = "https://github.com/ringfence/ringfence/blob/main/docs/releases.md#the-provenance"
OUR_OWN = {SUMS, PROVENANCE, f"{SUMS}.sig", f"{PROVENANCE}.sig"}
# Names that need no escape anywhere and lead out of no folder.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*")
SUM = re.compile(r"([0-9a-f]{64})  (" + NAME.pattern + ")")
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def digest(path):
    """The SHA-256 of a file, in hexadecimal."""
    sha = hashlib.sha256()
    with path.open("rb") as content:
        while piece := content.read(1 << 20):
            sha.update(piece)
    return sha.hexdigest()


def artefacts(folder):
    """The names of what is released in a folder: all but sums, provenance and their signatures."""
    return sorted(path.name for path in folder.iterdir() if path.name not in OUR_OWN)


def write_sums(folder):
    """Writes SHA256SUMS. It has the artefacts alone, so whoever builds them again gets the same file."""
    lines = [f"{digest(folder / name)}  {name}\n" for name in artefacts(folder)]
    (folder / SUMS).write_text("".join(lines))


def read_sums(text):
    """Name to digest, from the text of SHA256SUMS. A line that is anything else is refused."""
    sums = {}
    if not text.endswith("\n"):
        raise Refused(f"{SUMS} does not end with a line")
    for number, line in enumerate(text.splitlines(), 1):
        match = SUM.fullmatch(line)
        if match is None:
            raise Refused(f"{SUMS}, line {number}: not a sum, two blanks and a plain name")
        if match[2] in sums or match[2] in OUR_OWN:
            raise Refused(f"{SUMS}, line {number}: {match[2]} cannot stand here, or stands here twice")
        sums[match[2]] = match[1]
    return sums


def write_provenance(folder, source, parameters, builder, times):
    """Writes provenance.json over the artefacts that SHA256SUMS has.

    `source`: repository, ref (None for a snapshot), commit, lock (the SHA-256 of Cargo.lock). `parameters`: what the build was
    told, by itself. `builder`: its id, a URI, and the versions of its tools. `times`: start and end, RFC 3339.
    """
    sums = read_sums((folder / SUMS).read_text())
    at = f"@{source['ref']}" if source["ref"] else ""
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": sums[name]}} for name in sorted(sums)],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"repository": source["repository"], "ref": source["ref"], "snapshot": source["ref"] is None},
                "internalParameters": parameters,
                "resolvedDependencies": [
                    {"uri": f"git+{source['repository']}{at}", "digest": {"gitCommit": source["commit"]}},
                    {"name": "Cargo.lock", "digest": {"sha256": source["lock"]}},
                ],
            },
            "runDetails": {
                "builder": {"id": builder["id"], "version": builder["version"]},
                "metadata": {"startedOn": times[0], "finishedOn": times[1]},
            },
        },
    }
    (folder / PROVENANCE).write_text(json.dumps(statement, indent=2, ensure_ascii=False) + "\n")


def read_provenance(text, sums):
    """The statement and its commit. Refused where it is of another kind, or of other artefacts than the sums."""
    try:
        statement = json.loads(text)
        kinds = (statement["_type"], statement["predicateType"])
        subjects = [(it["name"], it["digest"]["sha256"]) for it in statement["subject"]]
        commit = statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"]["gitCommit"]
        statement["predicate"]["runDetails"]["builder"]["id"] + ""
    except (ValueError, LookupError, TypeError) as error:
        raise Refused(f"{PROVENANCE} is no provenance of a release: {type(error).__name__}, {error}") from error
    if kinds != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise Refused(f"{PROVENANCE} is of another kind: {kinds[0]}, {kinds[1]}")
    if len(subjects) != len(sums) or dict(subjects) != sums:
        raise Refused(f"{PROVENANCE} speaks of other artefacts than {SUMS}: {difference(dict(subjects), sums)}")
    if not isinstance(commit, str) or COMMIT.fullmatch(commit) is None:
        raise Refused(f"{PROVENANCE} names no commit")
    return statement, commit


def difference(some, others):
    """The names of what two lists of sums do not have alike, for people."""
    return ", ".join(sorted(name for name in {*some, *others} if some.get(name) != others.get(name))) or "a name stands twice"


def check_files(folder, sums, only=()):
    """Refuses a folder in which anything is missing, changed or besides; with `only`, looks at those names alone."""
    if unknown := sorted(set(only) - set(sums)):
        raise Refused(f"{', '.join(unknown)}: not of this release, which has {', '.join(sorted(sums))}")
    wrong = []
    for name in sorted(only or sums):
        path = folder / name
        if not path.exists() and not path.is_symlink():
            hint = "" if only else " (to look at what you have alone: --only FILE)"
            wrong.append(f"{name} is missing{hint}")
        elif path.is_symlink() or not path.is_file():
            wrong.append(f"{name} is not a plain file")
        elif digest(path) != sums[name]:
            wrong.append(f"{name} was changed: its SHA-256 is not that of {SUMS}")
    if not only:
        wrong += [f"{name} is in the folder and not of the release" for name in artefacts(folder) if name not in sums]
    if wrong:
        raise Refused("\n".join(wrong))


def sign(folder, key):
    """Signs sums and provenance of a folder whose artefacts are still those of both."""
    sums = read_sums(read(folder, SUMS))
    read_provenance(read(folder, PROVENANCE), sums)
    check_files(folder, sums)
    signing.sign(folder / SUMS, key)
    signing.sign(folder / PROVENANCE, key)


def verify(folder, allowed, only=(), commit=None):
    """All that a user wants to know of a downloaded folder: the signer, the sums and the statement; or it is refused.

    Nothing is believed before its signature is: sums and provenance are read once both signatures hold.
    """
    if not allowed.is_file():
        raise Unavailable(f"{allowed}: there is no such file of allowed signers")
    texts = {name: read(folder, name) for name in (SUMS, PROVENANCE)}
    signers = {name: signing.signer(folder / name, text.encode(), allowed) for name, text in texts.items()}
    if len(set(signers.values())) != 1:
        raise Refused(f"{SUMS} was signed by {signers[SUMS]}, {PROVENANCE} by {signers[PROVENANCE]}")
    sums = read_sums(texts[SUMS])
    statement, built_from = read_provenance(texts[PROVENANCE], sums)
    if commit is not None and commit != built_from:
        raise Refused(f"this was built from commit {built_from}, not from {commit}")
    check_files(folder, sums, only)
    return signers[SUMS], sums, statement


def read(folder, name):
    """The text of a file of ours, byte for byte; refused where there is none."""
    try:
        return (folder / name).read_bytes().decode()
    except FileNotFoundError:
        raise Refused(f"{name} is missing in {folder}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{name} cannot be read: {error}") from error
