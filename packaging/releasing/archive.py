"""Archives whose bytes depend on nothing but what is in them: sorted names, no owners, one time for all."""

import pathlib
import subprocess
import tarfile


def write_tar_gz(path, folder, time):
    """Packs a folder, as one folder of its own name. `time`: seconds since 1970, of every member."""
    tar_path = path.with_suffix("")
    with tarfile.open(tar_path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for member in [folder, *sorted(folder.rglob("*"), key=lambda it: it.relative_to(folder).as_posix())]:
            tar.addfile(*entry(member, pathlib.PurePosixPath(folder.name, member.relative_to(folder).as_posix()), time))
    # gzip's own compression, and not Python's, whose library differs from system to system; -n: neither name nor time.
    subprocess.run(["gzip", "-9", "-n", "--force", str(tar_path)], check=True)
    tar_path.with_name(tar_path.name + ".gz").rename(path)


def entry(member, name, time):
    """What a file or folder is in the archive, and its content."""
    info = tarfile.TarInfo(name.as_posix())
    info.mtime, info.uid, info.gid, info.uname, info.gname = time, 0, 0, "root", "root"
    if member.is_dir():
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        return info, None
    if member.is_symlink() or not member.is_file():
        raise ValueError(f"{member}: only files and folders are packed")
    info.size, info.mode = member.stat().st_size, 0o755 if member.stat().st_mode & 0o100 else 0o644
    return info, member.open("rb")
