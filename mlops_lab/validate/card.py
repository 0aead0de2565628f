"""Keep the evidence beside a version, and write its model card from nothing else.

The card is the ``README.md`` of the version's folder, with the front matter that Hugging Face reads; ``report.html`` in
``evidence/`` is the same with plots and images, and needs no server.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mlops_lab.files import write_atomically
from mlops_lab.store.version import ModelVersion
from mlops_lab.validate.assessment import Assessment

TEMPLATES = Path(__file__).parent / "templates"
LIBRARIES = {"scikit-learn": "sklearn", "keras": "keras", "onnx": "onnx"}
NO_PEOPLE = ("fashion-mnist", "digits")


def render_card(evidence: dict[str, Any]) -> str:
    """Return the text of the card for the evidence of an assessment."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    environment.filters |= {"four": "{:.4f}".format, "line": _line, "json": _json}
    model = evidence["model"]
    trained_on = str(model["data"].get("name", ""))
    parts = {name: evidence.get(name) for name in ("quality", "groups", "behaviour", "robustness")}
    data_name = parts["quality"]["data"].split(",")[0] if parts["quality"] else trained_on
    failed = evidence["gates"]["failed"]
    return environment.get_template("README.md.j2").render(
        model=model,
        gates=evidence["gates"],
        library=LIBRARIES.get(model["framework"], model["framework"]),
        images=model["input"]["preprocessing"]["kind"] != "none",
        trained_on=trained_on,
        data_name=data_name,
        no_people=data_name in NO_PEOPLE,
        reason=failed[0]["message"] if failed else "its data are not here.",
        **parts,
    )


def render_report(assessment: Assessment) -> str:
    """Return the assessment as one HTML page, for both themes."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, autoescape=False)
    # The parts of the body are HTML, escaped where they are made.
    body = assessment._repr_html_()
    title = f"{assessment.name} v{assessment.version}"
    return environment.get_template("report.html.j2").render(title=title, body=body)


def keep(version: ModelVersion, assessment: Assessment) -> Path:
    """Write the evidence, the report and the card of a version, and return the folder of the evidence.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    folder = version.path / "evidence"
    evidence = assessment.evidence()
    for name, values in evidence.items():
        text = json.dumps(values, indent=1, ensure_ascii=False)
        write_atomically(folder / f"{name}.json", text.encode() + b"\n")
    write_atomically(folder / "report.html", render_report(assessment).encode())
    write_atomically(version.path / "README.md", render_card(evidence).encode())
    return folder


def _line(text: Any) -> str:
    """Return text that cannot end a line or a cell of Markdown, nor bring HTML of its own."""
    words = " ".join(str(text).split())
    return words.replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
