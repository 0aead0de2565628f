"""The secret of held-out cases: a file of the instructor's, or a random one that is kept for replay."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path

from mlops_lab.errors import NotFound, WrongUsage

LEAST = 16  # bytes of a secret that cannot be guessed


def kept_in() -> Path:
    """Return the folder in which secrets are kept, readable by their owner only."""
    return Path.home() / ".mlops-lab" / "secrets"


def digest(secret: bytes) -> str:
    """Return what a report says of a secret."""
    return hashlib.sha256(secret).hexdigest()


def read(path: str | Path | None) -> bytes:
    """Return the secret in a file, or a new random one.

    Raises
    ------
    WrongUsage
        The file cannot be read, or is shorter than 16 bytes.
    """
    if path is None:
        return secrets.token_bytes(32)
    try:
        secret = Path(path).read_bytes()
    except OSError as error:
        raise WrongUsage(f"The secret {path} cannot be read: {error.strerror}.", "Make one of random bytes.") from error
    if len(secret) < LEAST:
        raise WrongUsage(f"The secret has {len(secret)} bytes.", f"Take {LEAST} random bytes or more.")
    return secret


def keep(secret: bytes, submission: Path) -> None:
    """Keep a secret, and where the submission stands that it was used for, so that a check can be replayed."""
    path = kept_in() / f"{digest(secret)}.json"
    with suppress(OSError, ValueError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        places = json.loads(path.read_text(encoding="utf-8"))["submissions"] if path.exists() else {}
        places[submission.resolve().name] = str(submission.resolve())
        text = json.dumps({"secret": secret.hex(), "submissions": places})
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


def find(known_as: str, submission: str) -> tuple[bytes, str]:
    """Return the secret of a digest, and where a submission stood; either is empty where it is not kept.

    Raises
    ------
    NotFound
        There is no secret of that digest here.
    """
    try:
        values = json.loads((kept_in() / f"{known_as}.json").read_text(encoding="utf-8"))
        return bytes.fromhex(values["secret"]), str(values["submissions"].get(submission, ""))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        message = "The secret that this report was graded with is not kept on this machine."
        raise NotFound(message, "Pass it with --secret, and the submission's folder.") from error
