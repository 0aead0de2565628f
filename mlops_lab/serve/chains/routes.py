"""The chains of a server, and their routes: ``POST /chains/number`` answers the number in an image."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Blueprint, g

from mlops_lab import show, strict_json
from mlops_lab.errors import BadRequest, BrokenChain, LabError, StoreError, UnknownChain, WrongUsage, nearest
from mlops_lab.image import describe
from mlops_lab.serve.chains.chain import Chain
from mlops_lab.serve.chains.steps import ModelStep, Step
from mlops_lab.serve.codecs.images import WHOLE
from mlops_lab.serve.core.inference import Images, InferenceService
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.registry import Registry
from mlops_lab.serve.core.timing import RequestContext
from mlops_lab.serve.core.traffic import Route
from mlops_lab.serve.rest.images import current_request, decode_images

POLL_SECONDS = 1.0
MAX_BYTES = 64 * 1024  # of a chain's file: sixteen links need a hundredth of that
_log = logging.getLogger("mlops_lab.serve")


def read_chain(path: Path) -> Chain:
    """Return the chain that a JSON file describes.

    Raises
    ------
    StoreError
        It cannot be read, or does not describe a chain.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
        entry = strict_json.loads(content)
    except (OSError, ValueError) as error:
        reason = str(error).removesuffix(".")
        raise StoreError(
            f"{path.name} cannot be read: {reason}.", "Correct it; docs/chains.md has an example."
        ) from error
    if not isinstance(entry, dict) or not set(entry) <= {"name", "description", "links"} or "links" not in entry:
        raise StoreError(f"{path.name} is not a chain.", 'It holds {"name": …, "description": …, "links": […]}.')
    name = entry.get("name", path.stem)
    if name != path.stem:
        raise StoreError(f"{path.name} calls its chain {str(name)[:80]!r}.", "A chain is called what its file is.")
    return Chain(entry["links"], name, str(entry.get("description", "")))


@dataclass
class ChainEntry:
    """A chain of a folder: the last good one, and what is wrong with the file at present."""

    chain: Chain | None = None
    error: str = ""
    fingerprint: tuple[int, int, int] = (0, 0, 0)


class ChainRegistry:
    """The chains of a server.

    Parameters
    ----------
    registry
        The models.
    chains
        Chains, or the folder of their JSON files; by default the folder ``chains`` beside the one of the models.

    Raises
    ------
    LabError
        There is no such folder, or a chain that was given from Python does not fit its models. Those of a folder are
        noted with the reason.

    Examples
    --------
    >>> ChainRegistry(Registry(), []).listing()
    []
    """

    def __init__(self, registry: Registry, chains: Any = None) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._looked = -POLL_SECONDS
        self._folder: Path | None = None
        self._entries: dict[str, ChainEntry] = {}
        if chains is None and registry.store is not None:
            self._folder = registry.store.root.parent / "chains"
        elif isinstance(chains, str | Path):
            self._folder = Path(chains)
            if not self._folder.is_dir():
                raise WrongUsage(f"There is no folder {chains} to take chains from.", "Make it, or name another.")
        else:
            for chain in [chains] if isinstance(chains, Chain) else chains or []:
                chain.bind(self.find)
                self._entries[chain.name] = ChainEntry(chain)

    def entry(self, name: str) -> ChainEntry:
        """Return the entry of a chain that can be used.

        Raises
        ------
        UnknownChain
            The message names those there are.
        BrokenChain
            Its file was never one that could be read.
        """
        self._look()
        entry = self._entries.get(name)
        if entry is None:
            raise UnknownChain(f"There is no chain {name[:80]!r}.", nearest(name[:80], self._entries))
        if entry.chain is None:
            raise BrokenChain(f"The chain {name!r} cannot be used: {entry.error}", "")
        return entry

    def state(self, entry: ChainEntry) -> str:
        """Return ``ready``, or the reason why not."""
        try:
            if entry.chain is None:
                return f"failed: {entry.error}"
            entry.chain.bind(self.find)
        except LabError as error:
            return f"failed: {error}"
        return f"ready; what is on disk now was refused: {entry.error}" if entry.error else "ready"

    def names(self) -> list[str]:
        """Return the name of every chain; no model is loaded for it."""
        self._look()
        return sorted(self._entries)

    def listing(self) -> list[dict[str, Any]]:
        """Return every chain with its state."""
        self._look()
        return [
            {"name": name, "description": entry.chain.description if entry.chain else "", "state": self.state(entry)}
            for name, entry in sorted(self._entries.items())
        ]

    def find(self, name: str, version: str) -> Route:
        """Return the route to a version, whatever its share of the traffic."""
        return Route(self._registry.get(name, version))

    def _look(self) -> None:
        """Read the files that changed, at most once a second. A file that cannot be read displaces nothing."""
        if self._folder is None or time.monotonic() - self._looked < POLL_SECONDS:
            return
        with self._lock:
            if time.monotonic() - self._looked < POLL_SECONDS:  # another thread has looked meanwhile
                return
            self._entries = {path.stem: _reread(path, self._entries.get(path.stem)) for path in _files(self._folder)}
            self._looked = time.monotonic()


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.glob("*.json") if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        _log.warning("%s", show.escape_controls(f"{folder} cannot be read: {error}"))
        return []


def _reread(path: Path, old: ChainEntry | None) -> ChainEntry:
    old = old or ChainEntry()
    fingerprint = old.fingerprint
    try:
        found = path.stat()
        fingerprint = (found.st_ino, found.st_mtime_ns, found.st_size)
        return old if fingerprint == old.fingerprint else ChainEntry(read_chain(path), "", fingerprint)
    except (LabError, OSError) as error:
        return ChainEntry(old.chain, str(error), fingerprint)


def blueprint(chains: ChainRegistry, service: InferenceService) -> Blueprint:
    """Return the routes of the chains over a service."""
    routes = Blueprint("chains", __name__)

    @routes.get("/chains")
    def listing() -> dict[str, Any]:
        return {"chains": chains.listing()}

    @routes.get("/chains/<chain>")
    def about(chain: str) -> dict[str, Any]:
        entry = chains.entry(chain)
        found, state = entry.chain, chains.state(entry)
        assert found is not None
        described = found.to_dict()
        if state.startswith("ready"):
            described["links"] = [_describe(number, step) for number, step in enumerate(found.bind(chains.find), 1)]
        return {**described, "state": state}

    @routes.post("/chains/<chain>")
    def run(chain: str) -> dict[str, Any]:
        context: RequestContext = g.context
        found = chains.entry(chain).chain
        assert found is not None
        steps = found.bind(lambda name, version: service.route(name, version, context))
        return found.run(steps, _read_one(steps[0], service.limits), service, context)

    return routes


def _read_one(first: Step | ModelStep, limits: Limits) -> Images:
    """Return the one image of the request, as the first link takes it."""
    assert first.input is not None  # a step that takes nothing from a request does not bind as the first
    images = decode_images(current_request(limits), first.input, limits)
    if len(images) != 1:
        message = f"The request has {len(images)} images; a chain answers one at a time."
        raise BadRequest(message, "Send a request for each.")
    return images


def _describe(number: int, step: Step | ModelStep) -> dict[str, Any]:
    """Return what a link is at present."""
    if isinstance(step, ModelStep):
        model = step.predictor
        return {"link": number, "model": model.name, "version": f"v{model.version}", "takes": describe(model.input)}
    takes = "one grey image of any size" if step.input is WHOLE else "the output of the link before"
    return {"link": number, "step": step.name, "takes": takes}
