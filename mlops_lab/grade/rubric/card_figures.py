"""Read a model card and the evidence beside it: its headings, its figures, and whether the evidence holds them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_lab import strict_json
from mlops_lab.errors import LabError
from mlops_lab.grade.sandbox.tree import plain_files
from mlops_lab.store.reading import read_below

MOST_FILES, MOST = 20, 1_000_000  # files of evidence, and bytes of one
CURVE = 4  # a list of more numbers is one
LARGE = 100  # whole numbers up to it are seldom figures: 28×28, ten classes, three thirds
ALWAYS = {95.0, 100.0}  # percent: the confidence of an interval, and all
CODE = re.compile(r"```.*?```|~~~.*?~~~|`[^`\n]*`|<!--.*?-->|https?://\S+", re.DOTALL)
HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.×x/-])(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(?![\w×]|\.\d)(\s?%)?")
SENTENCE = re.compile(r"[^\W\d_][^|\n]{9,}?(?:[.!?](?=\s|$|[*_)\"”])|:$)")


@dataclass(frozen=True)
class Section:
    """One heading of a card.

    Parameters
    ----------
    level
        The number of its ``#``.
    title
        Its words.
    text
        What follows, up to the next heading of this level or above, without code.
    raw
        The same, with it.
    """

    level: int
    title: str
    text: str
    raw: str

    @property
    def sentence(self) -> str:
        """The first sentence that is no row of a table; empty where there is none."""
        lines = [line for line in self.text.splitlines() if not line.lstrip().startswith(("|", "#"))]
        paragraphs = re.split(r"\n\s*\n", "\n".join(lines))
        found = (SENTENCE.search(" ".join(one.split())) for one in paragraphs)
        return next((one[0] for one in found if one and len(one[0].split()) >= 3), "")


@dataclass(frozen=True)
class Figure:
    """One number of a card.

    Parameters
    ----------
    text
        As it is written.
    value
        As a share, where it is a percentage.
    digits
        Digits behind the point, of the value.
    line
        The line that it stands in.
    """

    text: str
    value: float
    digits: int
    line: str

    def shows(self, value: float) -> bool:
        """Return whether this is a value to the digits shown.

        Examples
        --------
        >>> Figure("0.908", 0.908, 3, "").shows(0.9081), Figure("0.90", 0.9, 2, "").shows(0.9081)
        (True, False)
        """
        return abs(self.value - value) <= 0.5 * 10.0**-self.digits + 1e-9


def body(text: str) -> str:
    """Return a card without its front matter."""
    found = re.match(r"---\n.*?\n---\n", text, re.DOTALL)
    return text[found.end() :] if found else text


def _blank(text: str) -> str:
    """Return a text with its code left out, line by line as long as before."""
    return CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def sections(text: str) -> list[Section]:
    r"""Return the headings of a card.

    Examples
    --------
    >>> [(one.title, one.sentence) for one in sections("# A\n\n## Limits\nIt has never seen a boot.\n")]
    [('A', 'It has never seen a boot.'), ('Limits', 'It has never seen a boot.')]
    """
    text = body(text)
    plain = _blank(text)
    found = list(HEADING.finditer(plain))
    parts = []
    for place, one in enumerate(found):
        level = len(one[1])
        end = next((later.start() for later in found[place + 1 :] if len(later[1]) <= level), len(plain))
        parts.append(Section(level, one[2].strip("*_ "), plain[one.end() : end], text[one.end() : end]))
    return parts


def figures(text: str) -> list[Figure]:
    r"""Return the figures of a card: numbers with a point, percentages, and whole numbers above 100 but for years.

    Examples
    --------
    >>> [one.text for one in figures("Of 10,000 images 28×28, 90.8% in 2026: 0.908 (v1, Keras 3.15.1)")]
    ['10,000', '90.8%', '0.908']
    """
    found = []
    for line in _blank(body(text)).splitlines():
        for one in NUMBER.finditer(line):
            whole, point, percent = one[1].replace(",", ""), one[2] or "", one[3]
            value, digits = float(whole + point), max(0, len(point) - 1)
            if percent:
                if value not in ALWAYS:
                    found.append(Figure(one[0], value / 100, digits + 2, line.strip()))
            elif point or (value > LARGE and not ("," not in one[1] and 1900 <= value <= 2100)):
                found.append(Figure(one[0], value, digits, line.strip()))
    return found


@dataclass
class Evidence:
    """What stands in ``evidence/*.json`` beside a card.

    Attributes
    ----------
    parts
        The documents by their names, without the ending.
    numbers
        Every number of them, half-widths of intervals, and the numbers of their texts.
    words
        Every text.
    """

    parts: dict[str, Any] = field(default_factory=dict)
    numbers: list[float] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    @property
    def classes(self) -> dict[str, Mapping[str, Any]]:
        """What the quality of each class is."""
        found = self.at("quality", "classes")
        return (
            {str(name): one for name, one in found.items() if isinstance(one, dict)} if isinstance(found, dict) else {}
        )

    def at(self, *keys: str) -> Any:
        """Return what stands under some keys, or ``None``."""
        value: Any = self.parts
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def number(self, *keys: str) -> float | None:
        """Return the number under some keys, or ``None``."""
        value = self.at(*keys)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def worst(self) -> tuple[str, float] | None:
        """Return the class with the lowest recall, of those with at least 20 examples."""
        recalls = [
            (self.number("quality", "classes", name, "recall"), name)
            for name in self.classes
            if (self.number("quality", "classes", name, "support") or 0) >= 20
        ]
        known = [(value, name) for value, name in recalls if value is not None]
        return (min(known)[1], min(known)[0]) if known else None

    def holds(self, figure: Figure) -> bool:
        """Return whether a figure is one of the evidence, to the digits that it shows."""
        version = f"{figure.text}."
        return any(figure.shows(one) for one in self.numbers) or any(version in one for one in self.words)

    def nearest(self, figure: Figure) -> float | None:
        """Return the number of the evidence that lies nearest."""
        return min(self.numbers, key=lambda one: abs(one - figure.value), default=None)


def read(folder: Path) -> Evidence:
    """Return the evidence of a folder; what cannot be read is left out."""
    found = Evidence()
    for path in plain_files(folder)[:MOST_FILES]:
        if path.suffix == ".json" and len(path.parts) == 1:
            with suppress(OSError, LabError, ValueError, RecursionError):
                found.parts[path.stem] = strict_json.loads(read_below(folder, path.name, MOST))
    for one in found.parts.values():
        _gather(one, found)
    return found


def _gather(document: Any, found: Evidence) -> None:
    for value in _walk(document):
        if isinstance(value, bool) or value is None:
            continue
        if isinstance(value, int | float):
            found.numbers.append(float(value))
        elif isinstance(value, str):
            found.words.append(value[:500])
            found.numbers += [one.value for one in figures(value[:500])]
        elif isinstance(value, list) and len(value) == 2 and all(isinstance(one, float) for one in value):
            found.numbers.append(abs(value[1] - value[0]) / 2)


def _walk(value: Any) -> Iterator[Any]:
    """Give all values of a document; not those of curves and matrices, which are no figures for a card."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        yield one
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list) and (len(one) <= CURVE or not isinstance(one[0], int | float | list)):
            waiting += one
