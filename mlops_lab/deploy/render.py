"""From templates to ``{path: text}``: everything is seen before anything is written."""

from __future__ import annotations

import html
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mlops_lab import show
from mlops_lab.deploy.spec import Spec
from mlops_lab.errors import StoreError, WrongUsage

KINDS = ("docker", "compose", "kubernetes", "tfserving", "github")
TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Files(Mapping[str, str]):
    """Texts by path, in the order of their names.

    Examples
    --------
    >>> Files({"Dockerfile": "FROM python"}).to_dict()
    {'Dockerfile': 'FROM python'}
    """

    texts: Mapping[str, str]

    def __getitem__(self, path: str) -> str:
        return self.texts[path]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.texts))

    def __len__(self) -> int:
        return len(self.texts)

    def below(self, folder: str) -> Files:
        """Return those in a folder, with their paths from there.

        Examples
        --------
        >>> Files({"image/Dockerfile": "FROM python", "compose.yaml": "services:"}).below("image").to_dict()
        {'Dockerfile': 'FROM python'}
        """
        start = f"{folder}/"
        return Files({path.removeprefix(start): text for path, text in self.items() if path.startswith(start)})

    def to_dict(self) -> dict[str, str]:
        """Return them as plain values."""
        return {path: self[path] for path in self}

    def __repr__(self) -> str:
        return f"<Files: {', '.join(self)}>"

    def __str__(self) -> str:
        return "\n".join(f"--- {path}\n{self[path]}" for path in self)

    def _repr_html_(self) -> str:
        parts = [
            f"<details><summary><code>{html.escape(path)}</code></summary><pre>{html.escape(self[path])}</pre></details>"
            for path in self
        ]
        return show.card(f"{len(self)} files", "".join(parts))

    def write(self, folder: str | Path, *, force: bool = False) -> list[Path]:
        """Write them below a folder, and return their paths.

        Raises
        ------
        StoreError
            A file is there already with another text, and ``force`` is not set; or the folder cannot be written.
        """
        targets = {Path(folder) / path: text for path, text in self.to_dict().items()}
        for path, text in targets.items():
            if not force and path.is_file() and path.read_text(encoding="utf-8") != text:
                raise StoreError(f"{path} is there already, and differs.", "Take another folder, or force=True.")
        try:
            for path, text in targets.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}.", "Take another folder.") from error
        return list(targets)


def files(spec: Spec, kind: str) -> Files:
    """Return the files of one kind of deployment.

    Parameters
    ----------
    spec
        From :func:`mlops_lab.deploy.make_spec`.
    kind
        ``"docker"``, ``"compose"``, ``"kubernetes"``, ``"tfserving"`` or ``"github"``.

    Raises
    ------
    WrongUsage
        There is no such kind.

    Examples
    --------
    >>> from mlops_lab.deploy import make_spec
    >>> list(files(make_spec("models", "clothes"), "docker"))
    ['.dockerignore', 'Dockerfile', 'requirements.txt']
    """
    if kind not in KINDS:
        raise WrongUsage(f"There is no deployment of kind {kind!r}.", f"Take one of: {', '.join(KINDS)}.")
    room = importlib.import_module(f"mlops_lab.deploy.{kind}")
    # Nothing is HTML here, and an unknown name in a template is an error, not an empty string.
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES / kind), undefined=StrictUndefined, keep_trailing_newline=True
    )
    values = room.context(spec)
    texts = {path: templates.get_template(path).render(**values) for path in templates.list_templates()}
    for folder, (part, of) in values.get("parts", {}).items():
        texts |= {f"{folder}/{path}": text for path, text in files(of, part).items()}
    return Files({path: text for path, text in texts.items() if text})
