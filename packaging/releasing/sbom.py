"""The list of what is in the program (CycloneDX 1.5, JSON): cargo-cyclonedx's, made the same wherever it is made, without what is
not linked, and with the C that crates bring along.
"""

import hashlib
import json
import pathlib
import re
import uuid

from .signing import Unavailable

REPOSITORY = "https://github.com/ringfence/ringfence"
# C inside of crates has versions and vulnerabilities of its own: the crate, a header in it, what its version looks like there.
BUNDLED = {
    "libsqlite3-sys": ("sqlite", "sqlite3/sqlite3.h", r'#define SQLITE_VERSION +"([0-9.]+)"'),
    "aws-lc-sys": ("aws-lc", "aws-lc/include/openssl/base.h", r'#define AWSLC_VERSION_NUMBER_STRING "([0-9.]+)"'),
    "libmimalloc-sys": ("mimalloc", "c_src/mimalloc/v3/include/mimalloc.h", r"#define MI_MALLOC_VERSION ([0-9]+)"),
}
LINKED = re.compile(r"(\S+) v(\S+)")


def write(sources, target, path):
    """Writes the list of what is in the program that was built from these sources."""
    for left in sources.folder.rglob("*_bin.cdx.json"):
        left.unlink()
    options = ("--format=json", "--spec-version=1.5", f"--target={target}", "--describe=binaries", "--no-build-deps")
    sources.run("cargo", "cyclonedx", "--manifest-path=crates/cli/Cargo.toml", *options)
    made = sources.folder / "crates/cli/ringfence_bin.cdx.json"
    if not made.is_file():
        raise Unavailable(f"cargo-cyclonedx wrote no {made.relative_to(sources.folder)}")
    bom = json.loads(made.read_text())
    for left in sources.folder.rglob("*_bin.cdx.json"):
        left.unlink()
    program = sources.folder / "target/ringfence-static"
    bom = settled(bom, sources.folder, linked(sources, target), sources.commit)
    bom["metadata"]["component"]["hashes"] = [{"alg": "SHA-256", "content": hashlib.sha256(program.read_bytes()).hexdigest()}]
    add_bundled(bom, {it["name"]: pathlib.Path(it["manifest_path"]).parent for it in sources.metadata["packages"]})
    add(bom, bom["metadata"]["component"]["bom-ref"], "rust-std", sources.run("rustc", "--version").split()[1])
    path.write_text(json.dumps(bom, indent=2, ensure_ascii=False) + "\n")


def linked(sources, target):
    """Name and version of each crate that is compiled for the program. `cargo metadata`, which cargo-cyclonedx asks, knows too many:
    features that one crate only could turn on in another.
    """
    tree = sources.run("cargo", "tree", "--locked", "--package=ringfence", f"--target={target}", "--edges=normal", "--prefix=none", "--format={p}")
    return {LINKED.match(line).groups() for line in tree.splitlines() if line}


def settled(bom, folder, linked, commit):
    """The list without paths of this machine, without a random serial number, and with what is linked alone."""
    text = json.dumps(bom).replace(f"path+file://{folder.as_posix()}/crates/", "ringfence:crates/")
    bom = json.loads(re.sub(r"\?download_url=file://[^\"]*", "", text))
    bom["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{REPOSITORY}/commit/{commit}')}"
    kept = [it for it in bom["components"] if (it["name"], it["version"]) in linked]
    refs = {it["bom-ref"] for it in kept} | {bom["metadata"]["component"]["bom-ref"]}
    bom["components"] = kept
    bom["dependencies"] = [
        it | ({"dependsOn": sorted(ref for ref in it["dependsOn"] if ref in refs)} if "dependsOn" in it else {})
        for it in sorted(bom["dependencies"], key=lambda it: it["ref"])
        if it["ref"] in refs
    ]
    missing = linked - {(it["name"], it["version"]) for it in kept} - {("ringfence", bom["metadata"]["component"]["version"])}
    if missing:
        raise Unavailable(f"cargo-cyclonedx does not list what is linked: {sorted(missing)}")
    return bom


def add_bundled(bom, folders):
    """Adds the C that is compiled in with crates, with its own version."""
    for component in list(bom["components"]):
        if component["name"] in BUNDLED:
            name, header, pattern = BUNDLED[component["name"]]
            found = re.search(pattern, (folders[component["name"]] / header).read_text())
            if found is None:
                raise Unavailable(f"the version of {name} is not found in {header} of {component['name']}")
            add(bom, component["bom-ref"], name, version_of(found[1]))


def version_of(text):
    """A version as people write it; mimalloc has a number of five digits."""
    if text.isdigit():
        number = int(text)
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    return text


def add(bom, parent, name, version):
    """Adds a component that no registry has, as something that `parent` consists of."""
    ref = f"pkg:generic/{name}@{version}"
    bom["components"].append({"type": "library", "bom-ref": ref, "name": name, "version": version, "scope": "required", "purl": ref})
    bom["dependencies"].append({"ref": ref})
    for dependency in bom["dependencies"]:
        if dependency["ref"] == parent:
            dependency["dependsOn"] = sorted([*dependency.get("dependsOn", []), ref])
