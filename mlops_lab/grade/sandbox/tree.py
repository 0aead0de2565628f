"""Folders and processes as trees: copy a submission safely, and find what a program has started."""

from __future__ import annotations

import os
import shutil
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlops_lab.errors import TooLarge

MAX_FILES = 5_000
MAX_BYTES = 512_000_000
MAX_DEPTH = 24
SKIPPED = ("__pycache__", ".git", ".venv", "venv", "node_modules", ".ipynb_checkpoints", ".mlops-lab")


def copy_submission(source: Path, target: Path) -> list[str]:
    """Copy a folder: plain files and folders only, within limits; return what was left out, and why.

    Links, devices, pipes and sockets are left out, so nothing leads out of the copy. Sparse files are counted by what
    they claim to hold.

    Raises
    ------
    TooLarge
        There are more than 5,000 files or 512 MB.
    """
    left_out: list[str] = []
    files = total = 0
    target.mkdir(mode=0o755)
    for path, inside in walk(source, Path()):
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            (target / inside).mkdir(mode=0o755)
            continue
        if not stat.S_ISREG(status.st_mode):
            left_out.append(f"{_plain(inside)} was left out: not a plain file.")
            continue
        files, total = files + 1, total + status.st_size
        if files > MAX_FILES or total > MAX_BYTES:
            raise TooLarge(
                f"The submission has more than {MAX_FILES} files or {MAX_BYTES // 1_000_000} MB.",
                "Hand in without data sets and environments.",
            )
        _copy(path, target / inside, status)
    return left_out[:20]


def copy_sources(folder: Path, target: Path) -> Path:
    """Copy the Python files of a submission's copy, once: before anything in it has run. Return where they are."""
    if not target.exists():
        target.mkdir(mode=0o700)
        for path, inside in walk(folder, Path()):
            status = path.lstat()
            if path.suffix == ".py" and stat.S_ISREG(status.st_mode):
                (target / inside).parent.mkdir(parents=True, exist_ok=True)
                _copy(path, target / inside, status)
    return target


def walk(source: Path, inside: Path, depth: int = 0) -> Iterator[tuple[Path, Path]]:
    """Give what is copied of a folder, and its path in it; what is no plain file is given too, and not followed."""
    with os.scandir(source) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.name in SKIPPED:
            continue
        yield Path(entry.path), inside / entry.name
        if entry.is_dir(follow_symlinks=False) and depth < MAX_DEPTH:
            yield from walk(Path(entry.path), inside / entry.name, depth + 1)


def _copy(path: Path, target: Path, expected: os.stat_result) -> None:
    """Copy one file, unless it is another one by now."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        now = os.fstat(file.fileno())
        if stat.S_ISREG(now.st_mode) and now.st_size <= expected.st_size:
            with open(target, "xb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
            if now.st_mode & stat.S_IXUSR:  # a script that an image starts
                os.chmod(target, 0o755)


def _plain(path: Path) -> str:
    text = "".join("�" if unicodedata.category(letter)[0] == "C" else letter for letter in str(path))
    return text[:120]


def put(folder: Path, inside: Path, content: bytes) -> None:
    """Write a file into a copy in which a submission's code has run: no link that it made is followed.

    Parameters
    ----------
    folder
        The copy.
    inside
        The file's path in it. Folders that are not there are made; a file or a link of its name is replaced.
    content
        What is written.

    Raises
    ------
    OSError
        A folder on the way is a link or a file, or a folder has the file's name.
    """
    with _removed(folder, inside, make=True) as place:
        descriptor = os.open(inside.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=place)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def remove(folder: Path, inside: Path) -> None:
    """Remove a file of a copy in which a submission's code has run; no link is followed.

    Raises
    ------
    OSError
        A folder on the way is not there, or a link or a file; or a folder has the file's name.
    """
    with _removed(folder, inside, make=False):
        pass


@contextmanager
def _removed(folder: Path, inside: Path, *, make: bool) -> Iterator[int]:
    """Give the folder of a file, opened step by step, after the file is removed there."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    place = os.open(folder, flags)
    try:
        for part in inside.parts[:-1]:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=place)
            outer, place = place, os.open(part, flags, dir_fd=place)
            os.close(outer)
        with suppress(FileNotFoundError):
            os.unlink(inside.name, dir_fd=place)
        yield place
    finally:
        os.close(place)


def plain_files(folder: Path) -> list[Path]:
    """Return the plain files of a folder in which a submission's code has run, by their paths in it, in order.

    No link is followed. A folder that is a link itself, or is not there, holds nothing.
    """
    found: list[Path] = []
    with suppress(OSError):
        for place, _, names, handle in os.fwalk(folder):
            for name in names:
                with suppress(OSError):
                    if stat.S_ISREG(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode):
                        found.append(Path(place, name).relative_to(folder))
    return sorted(found)


def owned(folder: Path, uid: int) -> None:
    """Give a folder and all in it to a user; no link is followed, also none that appears meanwhile."""
    for _, _, files, handle in os.fwalk(folder):
        os.chown(handle, uid, uid)
        for name in files:
            with suppress(FileNotFoundError):
                os.chown(name, uid, uid, dir_fd=handle, follow_symlinks=False)


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder, as they lie on the disk."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
    return total


def usage(token: str, uid: int | None, root: int, *, everywhere: bool = True) -> dict[int, int]:
    """Return the resident bytes of each process of a sandbox, by its id.

    Parameters
    ----------
    token
        What the environment of its processes bears.
    uid
        Its user, where it has one of its own.
    root
        Its first process.
    everywhere
        Look for processes that left their parent, too: by user and token. In a namespace of its own none can.
    """
    import psutil

    found: dict[int, int] = {}
    for pid in _everyone(root, token, uid) if everywhere else _family(root):
        with suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                found[pid] = process.memory_info().rss
    return found


def threads_of(uid: int) -> int:
    """Return how many threads a user runs: the kernel counts each of them against the limit on processes."""
    import psutil

    found = [one.info for one in psutil.process_iter(["num_threads", "uids"])]
    return sum(one["num_threads"] or 0 for one in found if one["uids"] and one["uids"].real == uid)


def _family(root: int) -> list[int]:
    """Return a process and all that descend from it; quick where Linux lists the children of each thread."""
    family = [root]
    for pid in family:
        with suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as file:
                    family += map(int, file.read().split())
    return family


def _everyone(root: int, token: str, uid: int | None) -> set[int]:
    import psutil

    family = {root}
    with suppress(psutil.Error):
        family |= {child.pid for child in psutil.Process(root).children(recursive=True)}
    return family | {pid for pid in psutil.pids() if _belongs(pid, token, uid)}


def _belongs(pid: int, token: str, uid: int | None) -> bool:
    try:
        if uid is not None:
            return os.stat(f"/proc/{pid}").st_uid == uid
        with open(f"/proc/{pid}/environ", "rb") as file:
            return token.encode() in file.read(65536)
    except OSError:
        return False
