"""The licences of what is linked into the program, as one text: most of them want their notice to go with it."""

import collections
import pathlib

# How crates call the files that have to go with them.
BEGINNINGS = ("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE")
HEAD = """\
What is linked into the program beside Ringfence's own code, with the notices that have to go with it.
Ringfence itself is under Apache-2.0 or MIT, at your choice: LICENSE-APACHE, LICENSE-MIT.

The standard library of Rust (https://www.rust-lang.org), Copyright The Rust Project Developers: Apache-2.0 or MIT.
musl (https://musl.libc.org), Copyright 2005-2020 Rich Felker, et al.: MIT.
SQLite (https://sqlite.org), in libsqlite3-sys: in the public domain.

"""


def linked_packages(metadata, linked):
    """The packages of `cargo metadata` that are linked, without those of the workspace. `linked`: names and versions."""
    ours = set(metadata["workspace_members"])
    return sorted(
        (it for it in metadata["packages"] if (it["name"], it["version"]) in linked and it["id"] not in ours),
        key=lambda it: (it["name"], it["version"]),
    )


def text(packages):
    """The notices of packages. Those with the same text stand together before it."""
    by_text, without = collections.defaultdict(list), []
    for package in packages:
        name = f"{package['name']} {package['version']} ({package['license'] or 'see its file'})"
        found = notices(pathlib.Path(package["manifest_path"]).parent, package["name"].endswith("-sys"))
        for notice in found:
            if name not in by_text[notice]:
                by_text[notice].append(name)
        if not found:
            without.append(name)
    parts = [HEAD]
    if without:
        parts.append("Without a file of their own, under the licence that they name:\n" + "".join(f"  {it}\n" for it in without) + "\n")
    for notice, names in sorted(by_text.items(), key=lambda it: it[1]):
        parts.append("-" * 100 + "\n" + "".join(f"{it}\n" for it in names) + "\n" + notice + "\n")
    return "".join(parts)


def notices(folder, with_subfolders):
    """The texts of the files of licences in a crate; one with C in it has those of the C below."""
    paths = sorted(folder.rglob("*") if with_subfolders else folder.iterdir())
    found = [it for it in paths if it.name.upper().startswith(BEGINNINGS) and it.is_file() and it.suffix in ("", ".md", ".txt")]
    texts = [it.read_text(errors="replace").replace("\r\n", "\n").strip() + "\n" for it in found]
    return list(dict.fromkeys(it for it in texts if it.strip()))
