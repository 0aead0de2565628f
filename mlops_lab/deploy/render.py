"""Render templates to ``{path: text}``, so that everything can be read before anything is written."""

from __future__ import annotations

import html
import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mlops_lab import show
from mlops_lab.deploy.spec import Spec
from mlops_lab.errors import StoreError, WrongUsage

KINDS = ("docker", "compose", "kubernetes", "tfserving", "ray", "github")
HASHES = re.compile(r" \\(?:\n    --hash=[^\n]*)+")
TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Files(Mapping[str, str]):
    """The texts of rendered files by path, sorted by path.

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
        """Return the files in a folder, with paths relative to it.

        Examples
        --------
        >>> Files({"image/Dockerfile": "FROM python", "compose.yaml": "services:"}).below("image").to_dict()
        {'Dockerfile': 'FROM python'}
        """
        start = f"{folder}/"
        return Files({path.removeprefix(start): text for path, text in self.items() if path.startswith(start)})

    def to_dict(self) -> dict[str, str]:
        """Return the texts by path as plain values."""
        return {path: self[path] for path in self}

    def __repr__(self) -> str:
        return f"<Files: {', '.join(self)}>"

    def __str__(self) -> str:
        return "\n".join(f"--- {path}\n{folded(self[path])}" for path in self)

    def _repr_html_(self) -> str:
        parts = [
            f"<details><summary><code>{html.escape(path)}</code></summary><pre>{html.escape(folded(self[path]))}</pre></details>"
            for path in self
        ]
        return show.card(f"{len(self)} files", "".join(parts))

    def write(self, folder: str | Path, *, force: bool = False) -> list[Path]:
        """Write the files into a folder, and return their paths.

        Raises
        ------
        StoreError
            A file exists with another text and ``force`` is not set, or the folder cannot be written.
        """
        targets = {Path(folder) / path: text for path, text in self.to_dict().items()}
        for path, text in targets.items():
            if not force and path.is_file() and path.read_text(encoding="utf-8") != text:
                raise StoreError(f"{path} exists and differs.", "Use another folder, or force=True.")
        try:
            for path, text in targets.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}.", "Use another folder.") from error
        return list(targets)


def folded(text: str) -> str:
    r"""Return a text for display, in which the hashes of a package are replaced by their number.

    Examples
    --------
    >>> print(folded("flask==3.1 \\\n    --hash=sha256:ab \\\n    --hash=sha256:cd\n"))
    flask==3.1  # 2 hashes
    <BLANKLINE>
    """
    return HASHES.sub(lambda found: f"  # {found[0].count('--hash=')} hashes", text)


def files(spec: Spec, kind: str) -> Files:
    """Render the files of one kind of deployment.

    Parameters
    ----------
    spec
        The specification, from :func:`mlops_lab.deploy.make_spec`.
    kind
        ``"docker"``, ``"compose"``, ``"kubernetes"``, ``"tfserving"``, ``"ray"`` or ``"github"``.

    Raises
    ------
    WrongUsage
        The kind is unknown, or it cannot deploy this specification.

    Examples
    --------
    >>> from mlops_lab.deploy import make_spec
    >>> list(files(make_spec("models", "clothes"), "docker"))
    ['.dockerignore', 'Dockerfile', 'requirements.txt']
    """
    if kind not in KINDS:
        raise WrongUsage(f"Unknown kind of deployment {kind!r}.", f"Use one of: {', '.join(KINDS)}.")
    module = importlib.import_module(f"mlops_lab.deploy.{kind}")
    # The texts are not HTML, so nothing is escaped; an unknown name in a template is an error, not an empty string.
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES / kind), undefined=StrictUndefined, keep_trailing_newline=True
    )
    values = module.context(spec)
    # pip compiles every Python file that it installs, those among the templates too.
    names = templates.list_templates(filter_func=lambda path: not path.endswith(".pyc"))
    texts = {path: templates.get_template(path).render(**values) for path in names}
    for folder, (part, of) in values.get("parts", {}).items():
        texts |= {f"{folder}/{path}": text for path, text in files(of, part).items()}
    return Files({path: text for path, text in texts.items() if text})
