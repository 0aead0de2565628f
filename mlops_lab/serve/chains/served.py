"""The chains of a server, and their routes: ``POST /chains/number`` answers the number in a image."""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Blueprint

from mlops_lab.errors import BadRequest, BrokenChain, LabError, StoreError, UnknownChain, WrongUsage, nearest
from mlops_lab.image import describe
from mlops_lab.serve.chains.chain import Chain
from mlops_lab.serve.chains.steps import Ask, Step
from mlops_lab.serve.codec import WHOLE
from mlops_lab.serve.limits import Limits
from mlops_lab.serve.operations import laps
from mlops_lab.serve.operations.gate import Gate
from mlops_lab.serve.protocols import course
from mlops_lab.serve.registry import Registry

LOOK_SECONDS = 1.0
_log = logging.getLogger("mlops_lab.serve")


def read_chain(path: Path) -> Chain:
    """Return the chain that a JSON file describes.

    Raises
    ------
    StoreError
        It cannot be read, or is not what a chain looks like.
    """
    try:
        entry = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path.name} cannot be read: {error}.", "Mend it; docs/chains.md has an example.") from error
    if not isinstance(entry, dict) or not set(entry) <= {"name", "description", "links"} or "links" not in entry:
        raise StoreError(f"{path.name} is not a chain.", 'It holds {"name": …, "description": …, "links": […]}.')
    name = entry.get("name", path.stem)
    if name != path.stem:
        raise StoreError(f"{path.name} calls its chain {str(name)[:80]!r}.", "A chain is called what its file is.")
    return Chain(entry["links"], name, str(entry.get("description", "")))


@dataclass
class Known:
    """A chain of a folder: the last good one, and what is wrong with what lies there now."""

    chain: Chain | None = None
    wrong: str = ""
    mark: tuple[int, int, int] = (0, 0, 0)


class Chains:
    """Every chain of a server.

    Parameters
    ----------
    registry
        Where the models are.
    chains
        Chains, or the folder of their JSON files; by default the folder ``chains`` beside the one of the models.

    Raises
    ------
    LabError
        There is no such folder, or a chain that was given from Python does not fit its models. Those of a folder are
        noted with the reason.

    Examples
    --------
    >>> Chains(Registry(), []).listing()
    []
    """

    def __init__(self, registry: Registry, chains: Any = None) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._looked = -LOOK_SECONDS
        self._folder: Path | None = None
        self._known: dict[str, Known] = {}
        if chains is None and registry.store is not None:
            self._folder = registry.store.root.parent / "chains"
        elif isinstance(chains, str | Path):
            self._folder = Path(chains)
            if not self._folder.is_dir():
                raise WrongUsage(f"There is no folder {chains} to take chains from.", "Make it, or name another.")
        else:
            for chain in [chains] if isinstance(chains, Chain) else chains or []:
                chain.bind(registry.get)
                self._known[chain.name] = Known(chain)

    def get(self, name: str) -> Chain:
        """Return a chain.

        Raises
        ------
        UnknownChain
            The message names those there are.
        BrokenChain
            Its file was never one that could be read.
        """
        self._look()
        known = self._known.get(name)
        if known is None:
            raise UnknownChain(f"There is no chain {name[:80]!r}.", nearest(name[:80], self._known))
        if known.chain is None:
            raise BrokenChain(f"The chain {name!r} cannot be used: {known.wrong}", "")
        return known.chain

    def state(self, name: str) -> str:
        """Return ``ready``, or the reason why not."""
        known = self._known[name]
        try:
            if known.chain is None:
                return f"failed: {known.wrong}"
            known.chain.bind(self._registry.get)
        except LabError as error:
            return f"failed: {error}"
        return f"ready; what is on disk now was refused: {known.wrong}" if known.wrong else "ready"

    def listing(self) -> list[dict[str, Any]]:
        """Return every chain with its state."""
        self._look()
        return [
            {"name": name, "description": known.chain.description if known.chain else "", "state": self.state(name)}
            for name, known in sorted(self._known.items())
        ]

    def _look(self) -> None:
        """Read the files that changed, at most once a second. What cannot be read displaces nothing."""
        if self._folder is None or time.monotonic() - self._looked < LOOK_SECONDS:
            return
        with self._lock:
            self._known = {path.stem: _reread(path, self._known.get(path.stem)) for path in _files(self._folder)}
            self._looked = time.monotonic()


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.glob("*.json") if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        _log.warning("%s cannot be read: %s", folder, error)
        return []


def _reread(path: Path, old: Known | None) -> Known:
    old = old or Known()
    mark = old.mark
    try:
        found = path.stat()
        mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        return old if mark == old.mark else Known(read_chain(path), "", mark)
    except (LabError, OSError) as error:
        return Known(old.chain, str(error), mark)


def blueprint(
    chains: Chains,
    registry: Registry,
    limits: Limits,
    gate: Gate,
    on_prediction: course.OnPrediction | None = None,
    find: course.Find | None = None,
) -> Blueprint:
    """Return the routes of the chains; ``find`` says who answers a request, by default the registry."""
    routes = Blueprint("chains", __name__)

    @routes.get("/chains")
    def listing() -> dict[str, Any]:
        return {"chains": chains.listing()}

    @routes.get("/chains/<chain>")
    def about(chain: str) -> dict[str, Any]:
        found = chains.get(chain)
        state = chains.state(chain)
        told = found.to_dict()
        if state.startswith("ready"):
            told["links"] = [_about(number, step) for number, step in enumerate(found.bind(registry.get), 1)]
        return {**told, "state": state}

    @routes.post("/chains/<chain>")
    def run(chain: str) -> dict[str, Any]:
        found = chains.get(chain)
        steps = found.bind(find or registry.get, on_prediction)
        images = _read_one(steps[0], limits)
        laps.lap("decode")
        return found.run(steps, images, limits, lambda name: gate.admit(name, _waited()))

    return routes


def _read_one(first: Step, limits: Limits) -> Any:
    """Return the one image of the request, as the first link takes it."""
    assert first.input is not None  # a step that takes nothing from a request does not bind as the first
    images = course.read_images(first.input, limits)
    if len(images) != 1:
        message = f"The request has {len(images)} images; a chain answers one at a time."
        raise BadRequest(message, "Send a request for each.")
    return images


def _waited() -> float:
    watch = laps.current()
    return watch.elapsed() if watch else 0.0


def _about(number: int, step: Step) -> dict[str, Any]:
    """Return what a link is just now."""
    if isinstance(step, Ask):
        model = step.predictor
        return {"link": number, "model": model.name, "version": f"v{model.version}", "takes": describe(model.input)}
    takes = "one grey image of any size" if step.input is WHOLE else "what the link before gives"
    return {"link": number, "step": step.name, "takes": takes}
