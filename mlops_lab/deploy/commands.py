"""Programs that are not ours: said before they run, and explained when they fail."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mlops_lab.errors import LabError, MissingPackage

INSTALL = {
    "docker": "Install it: https://docs.docker.com/get-docker/, or 'apt install docker.io' on Debian.",
    "kubectl": "Install it: https://kubernetes.io/docs/tasks/tools/.",
}


class CommandFailed(LabError):
    """An outside program ended with an error; the message ends with what it said last."""

    code = "command_failed"


def require(tool: str) -> str:
    """Return where a program is.

    Raises
    ------
    MissingPackage
        It is not installed; the hint is how to.
    """
    found = shutil.which(tool)
    if found is None:
        raise MissingPackage(f"The program {tool!r} is not on the path.", INSTALL.get(tool, f"Install {tool}."))
    return found


def announce(line: str) -> None:
    """Print a command before it runs."""
    print(f"$ {line}", file=sys.stderr, flush=True)


def run(
    command: Sequence[str],
    *,
    say: Callable[[str], None] = announce,
    folder: str | Path | None = None,
    seconds: float = 1800,
) -> str:
    """Say a command, run it without a shell, and return what it printed.

    Raises
    ------
    MissingPackage
        There is no such program.
    CommandFailed
        It ended with an error, or took longer than ``seconds``.

    Examples
    --------
    >>> run([sys.executable, "-c", "print(6 * 7)"], say=lambda line: None)
    '42'
    """
    require(command[0])
    line = shlex.join(command)
    say(line)
    try:
        done = subprocess.run(list(command), cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"'{line}' did not end within {seconds:g} s.", "Run it by hand and look.") from error
    if done.returncode:
        # Some programs, such as `docker build`, say what went wrong on standard output, and little on the other.
        last = "\n".join(f"{done.stdout}\n{done.stderr}".strip().splitlines()[-12:])
        raise CommandFailed(f"'{line}' ended with status {done.returncode}:\n{last}", "Mend that, and run it again.")
    return done.stdout.strip()
