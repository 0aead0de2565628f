"""The loop as a GitHub Actions workflow: one step of the job for each step of the loop up to the promotion."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mlops_lab.errors import WrongUsage
from mlops_lab.pipeline.loop.config import read_config

TEMPLATES = Path(__file__).parent / "templates"
PATH = ".github/workflows/loop.yaml"
# Each ends after the step that it names: what stands before it is taken from the cache.
PARTS = (
    ("data", "Check the data"),
    ("train", "Train"),
    ("validate", "Hold the version against the thresholds"),
    ("package", "Package it"),
    ("integration", "Stage it, and test the integration"),
    ("acceptance", "Test the acceptance"),
    ("load", "Test the load"),
    ("promote", "Promote it, and verify"),
)


def render_workflow(path: str | Path) -> dict[str, str]:
    """Return the workflow of a loop: its path in the repository, and its text.

    Parameters
    ----------
    path
        ``pipeline.toml``, in the repository that the workflow is for; its models and its work, too.

    Raises
    ------
    WrongUsage
        The settings cannot be read, or name a folder outside of the repository.
    """
    path = Path(path).resolve()
    config = read_config(path)
    root = next((folder for folder in path.parents if (folder / ".git").exists()), path.parent)
    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True)
    places = {"file": path, "models": config.models, "work": config.work}
    try:
        named = {name: place.resolve().relative_to(root).as_posix() for name, place in places.items()}
    except ValueError as error:
        raise WrongUsage(f"{path} names a folder outside of {root}.", "Keep models and work in it.") from error
    text = environment.get_template("loop.yaml.j2").render(name=config.name, parts=PARTS, **named)
    return {PATH: text}
