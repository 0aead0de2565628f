"""Run external programs: print each command before it runs, and explain a failure."""

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
    """An external program ended with an error; the message ends with its last output."""

    code = "command_failed"


def require(tool: str) -> str:
    """Return the path of a program.

    Raises
    ------
    MissingPackage
        The program is not installed; the hint tells how to install it.
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
    """Announce a command, run it without a shell, and return its standard output.

    Raises
    ------
    MissingPackage
        The program is not installed.
    CommandFailed
        The program ended with an error, or took longer than ``seconds``.

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
        raise CommandFailed(
            f"'{line}' did not end within {seconds:g} s.", "Run it by hand and read its output."
        ) from error
    if done.returncode:
        # Some programs, such as `docker build`, report errors on standard output.
        last = "\n".join(f"{done.stdout}\n{done.stderr}".strip().splitlines()[-12:])
        raise CommandFailed(f"'{line}' ended with status {done.returncode}:\n{last}", _hint(last))
    return done.stdout.strip()


def _hint(output: str) -> str:
    """Return what to do about a failure; a Docker daemon that does not run is the most frequent one."""
    if "docker daemon" in output.lower():
        return "Start Docker, and run the command again."
    return "Correct the cause, and run the command again."
