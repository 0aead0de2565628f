"""grade-4: a model card, held against the evidence beside it."""

from __future__ import annotations

import re
from typing import Any

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.card_figures import Evidence, Figure, Section, body, figures, read, sections

exercise = Exercise("grade-4", "The model card", kind="file", names=("README.md",), section="Notebook 8, section 4",
                    attempted_by=("Limit", "limit"))  # fmt: skip

# What a card has, and the words by which its heading is known.
PARTS = {
    "purpose": r"purpose|intended|what it (does|is for)|use case|task",
    "data": r"\bdata|trained on",
    "figures": r"figure|quality|evaluat|performance|result|metric|accurac|how good",
    "groups": r"group|class|fair|everybody|whom",
    "limits": r"limit|cannot|does not|caveat|weakness|never seen|out of scope",
    "versions": r"version|reproduc|history|provenance",
    "ask": r"\bask|usage|how to use|request|quick ?start|call|inference|example",
}
NOT_SEEN = re.compile(
    r"\b(not|n't|never|no|nothing|none|only|without|cannot|fails?|worse|wrong|poor\w*|unseen|except|outside|unlike|lower)\b",
    re.IGNORECASE,
)
CLAIM = re.compile(
    r"\b(works?|working|right|correct|reliable|suitable|recogni[sz]es?|classif(y|ies)|good|accurate)\b[^.!?|\n]{0,30}"
    r"\b(all|every|everything|any|always|everywhere)\b", re.IGNORECASE
)  # fmt: skip
OVERALL = re.compile(r"\baccuracy\b", re.IGNORECASE)
KEPT = 3  # figures that a message names


def _evidence(answer: Answer) -> Evidence:
    return read(answer.path.parent / "evidence") if answer.path is not None else Evidence()


def part(text: str, name: str) -> Section | None:
    """Return the heading of a card for one of :data:`PARTS`; the title of the card is none of them."""
    wanted = re.compile(PARTS[name], re.IGNORECASE)
    return next((one for one in sections(text) if one.level > 1 and wanted.search(one.title)), None)


@exercise.check("evidence", "The evidence stands beside the card", points=0, hints={
    "no-evidence": Hint("There is no evidence/quality.json beside the card.",
                        "mlops-lab validate measures a version and leaves what it saw there."),
    "no-classes": Hint("evidence/quality.json names no accuracy and no classes.", "It is not what validate wrote."),
})  # fmt: skip
def evidence_is_there(answer: Answer, case: Case) -> None:
    found = _evidence(answer)
    case.expect("quality" in found.parts, "There is no evidence.", hint="no-evidence",
                expected="evidence/quality.json", received=", ".join(sorted(found.parts)) or "nothing")  # fmt: skip
    whole = found.number("quality", "accuracy") is not None and found.worst() is not None
    case.expect(whole, "The evidence names no figures.", hint="no-classes")


@exercise.check("headings", "Seven headings, each with a sentence", points=1, hints={
    "absent": Hint("There is no heading for {part}.", "Whoever has only the card must find: " + ", ".join(PARTS) + "."),
    "empty": Hint("Under {title!r} stands no sentence.", "A table says how much, and not what of."),
})  # fmt: skip
def headings(answer: Answer, case: Case) -> None:
    text = answer.text()
    absent = [name for name in PARTS if part(text, name) is None]
    case.expect(not absent, f"{len(absent)} of {len(PARTS)} headings are not there.", hint="absent",
                part=(absent or [""])[0], share=0.5 * (len(absent) < 3), expected=", ".join(PARTS),
                received=", ".join(name for name in PARTS if name not in absent))  # fmt: skip
    bare = [one.title for one in sections(text) if not one.sentence]
    case.expect(not bare, "A heading has no sentence.", hint="empty", title=(bare or [""])[0], share=0.5,
                expected="a sentence under each", received=", ".join(bare))  # fmt: skip


@exercise.check("figures", "Each figure is one of the evidence, to the digits shown", points=2, after="evidence",
                hints={
    "memory": Hint("{said} stands here, {right} in the evidence.",
                   "Which images was that measured on? Copy figures from evidence/*.json, and round the last digit."),
    "no-figures": Hint("There is no figure on the card.", "How good is it, and how sure is that?"),
})  # fmt: skip
def figures_are_held(answer: Answer, case: Case) -> None:
    evidence, found = _evidence(answer), figures(answer.text())
    case.expect([one for one in found if one.digits], "No figure stands on the card.", hint="no-figures")
    wrong = [one for one in found if not _fits(evidence, one)]
    for one in wrong[:KEPT]:
        case.note(f"{one.text}: {one.line}")
    if wrong:
        one = wrong[0]
        right = _meant(evidence, one)
        case.fail(f"{len(wrong)} of {len(found)} figures are not in the evidence.", hint="memory",
                  share=0.5 if len(wrong) == 1 and not OVERALL.search(one.line) else 0.0, said=one.text,
                  right="nothing like it" if right is None else _shown(right, one),
                  expected="one of the evidence", received=", ".join(one.text for one in wrong[:KEPT]))  # fmt: skip


def _fits(evidence: Evidence, figure: Figure) -> bool:
    """Return whether a figure is held, and where its line names one class, held for this class or for all together."""
    named = [name for name in evidence.classes if _names(figure.line, name)]
    if not evidence.holds(figure) or not figure.digits:
        return evidence.holds(figure)
    if len(named) == 1:
        return any(figure.shows(one) for one in _of_class(evidence, named[0]))
    if not named and re.search(r"accuracy\W*(is|of|:|\|)?\W*" + re.escape(figure.text), figure.line, re.IGNORECASE):
        return any(figure.shows(one) for one in _accuracies(evidence))
    return True


def _names(line: str, name: str) -> bool:
    """Return whether a line names a class; a class that is a number only in the first cell of a row."""
    if line.startswith("|"):
        return line.strip("|").split("|")[0].strip(" *`").casefold() == name.casefold()
    return not name.isdigit() and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", line, re.IGNORECASE) is not None


def _of_class(evidence: Evidence, name: str) -> list[float]:
    """Return the figures of a class, and those of all classes together."""
    whole = Evidence({"class": evidence.classes[name], "quality": evidence.at("quality")})
    keys = [("class", one) for one in ("precision", "recall", "f1")]
    keys += [("quality", one) for one in ("accuracy", "precision", "recall", "f1")]
    pairs = [whole.at("class", f"{one}_interval") for one in ("precision", "recall", "f1")]
    intervals = whole.at("quality", "intervals")
    pairs += intervals.values() if isinstance(intervals, dict) else []
    found = [one for key in keys if (one := whole.number(*key)) is not None]
    for ends in map(_ends, pairs):
        found += [*ends, (ends[1] - ends[0]) / 2] if ends else []
    return found


def _accuracies(evidence: Evidence) -> list[float]:
    """Return every figure of the evidence that is an accuracy."""
    found = [evidence.at("quality", "accuracy"), *_ends(evidence.at("quality", "intervals", "accuracy"))]
    found += [evidence.at("model", "metrics", one) for one in ("test_accuracy", "validation_accuracy", "accuracy")]
    for attribute in _values(evidence.at("groups")):
        found += [one.get("value") for one in _values(attribute.get("groups")) if isinstance(one, dict)]
    for strengths in _values(evidence.at("robustness", "accuracy")):
        found += strengths.values()
    return [float(one) for one in found if isinstance(one, int | float)]


def _values(found: Any) -> list[dict[str, Any]]:
    """Return the dicts in a dict; the evidence is a student's, and may be anything."""
    return [one for one in found.values() if isinstance(one, dict)] if isinstance(found, dict) else []


def _ends(pair: Any) -> list[float]:
    """Return the two ends of an interval, in order; nothing where it is none."""
    right = isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, int | float) for one in pair)
    return sorted(pair) if right else []


def _meant(evidence: Evidence, figure: Figure) -> float | None:
    """Return the figure of the evidence that somebody may have meant."""
    named = [name for name in evidence.classes if _names(figure.line, name)]
    if len(named) == 1:
        return min(_of_class(evidence, named[0]), key=lambda one: abs(one - figure.value), default=None)
    if OVERALL.search(figure.line):
        return evidence.number("quality", "accuracy")
    return evidence.nearest(figure)


def _shown(value: float, like: Figure) -> str:
    return f"{value:.{max(like.digits, 3)}f}" if like.digits else f"{value:g}"


@exercise.check("accuracy", "The accuracy stands there with its interval", points=1, after="evidence", hints={
    "no-accuracy": Hint("The accuracy of the evidence, {right:.4f}, does not stand on the card.",
                        "With at least two digits: nobody can decide by 'good'."),
    "no-interval": Hint("The accuracy has no interval.", "{low:.3f} to {high:.3f}: so sure are {count} images."),
})  # fmt: skip
def accuracy(answer: Answer, case: Case) -> None:
    evidence, found = _evidence(answer), [one for one in figures(answer.text()) if one.digits >= 2]
    right = evidence.number("quality", "accuracy") or 0.0
    stands = any(one.shows(right) for one in found)
    case.expect(stands, "The accuracy does not stand there.", hint="no-accuracy", right=right, expected=f"{right:.4f}",
                received=", ".join(one.text for one in found[:KEPT]) or "no figure")  # fmt: skip
    pair = _ends(evidence.at("quality", "intervals", "accuracy"))
    if not pair:
        return  # a task without an interval
    low, high = pair
    both = all(any(one.shows(end) for one in found) for end in (low, high))
    half = any(one.shows((high - low) / 2) and one.digits >= 3 for one in found)
    case.expect(both or half, "Its interval does not stand there.", hint="no-interval", share=0.5, low=low, high=high,
                count=evidence.at("quality", "count"), expected=f"{low:.3f} to {high:.3f}",
                received="no interval")  # fmt: skip


@exercise.check("worst", "The worst group is named, with its figure", points=1, after="evidence", hints={
    "left-out": Hint("{name} {value:.2f} is in the evidence and not on the card.",
                     "Who uses the model for just this group learns it from you, or from the complaints."),
    "no-figure": Hint("{name} is named, and not how bad it is: {value:.2f}.", "A name alone warns nobody."),
})  # fmt: skip
def worst(answer: Answer, case: Case) -> None:
    evidence = _evidence(answer)
    found = evidence.worst()
    if found is None:
        return
    name, value = found
    text = body(answer.text())
    named = [line for line in re.split(r"\n(?=\s*\n|\||#)", text) if _names(" ".join(line.split()), name)]
    case.expect(named, "The worst group is not named.", hint="left-out", name=name, value=value,
                expected=f"{name}: {value:.3f}", received="nothing")  # fmt: skip
    shown = any(one.shows(value) and one.digits >= 2 for line in named for one in figures(line))
    case.expect(shown, "The worst group has no figure.", hint="no-figure", name=name, value=value, share=0.5,
                expected=f"{name}: {value:.3f}", received=named[0].strip()[:80])  # fmt: skip


@exercise.check("limits", "It says what it has never seen", points=1, hints={
    "all": Hint("The card says: {said!r}", "Which images has it never seen? One sentence."),
    "no-limit": Hint("Under limits nothing is said that it cannot do: {said!r}",
                     "Which images has it never seen? One sentence."),
    "no-heading": Hint("There is no heading for limits.", "Which images has it never seen? One sentence."),
})  # fmt: skip
def limits(answer: Answer, case: Case) -> None:
    text = answer.text()
    claim = next((found for one in sections(text) for sentence in re.split(r"(?<=[.!?])\s", one.text)
                  if (found := CLAIM.search(sentence)) and not NOT_SEEN.search(sentence)), None)  # fmt: skip
    case.expect(claim is None, "It promises all.", hint="all", said=claim[0] if claim else "")
    section = part(text, "limits")
    case.expect(section, "There is no heading for limits.", hint="no-heading")
    shown = " ".join(section.text.split()) if section else ""
    case.expect(NOT_SEEN.search(shown), "No limit is named.", hint="no-limit", said=shown[:120])


@exercise.check("ask", "It says which version it is, and how to ask it", points=1, after="evidence", hints={
    "no-request": Hint("Nothing shows how it is asked.", "One line to copy: a command, or a few lines of Python."),
    "no-version": Hint("Version {version} is not named.", "Of which one are these figures?"),
})  # fmt: skip
def ask(answer: Answer, case: Case) -> None:
    text = body(answer.text())
    section = part(text, "ask")
    code = section.raw if section else ""
    shown = re.search(r"```|~~~|`[^`]*(curl|/models/|client|predict)[^`]*`|^    \S", code, re.IGNORECASE | re.MULTILINE)
    case.expect(shown, "There is no request to copy.", hint="no-request", expected="code under a heading",
                received=code.strip()[:80] or "nothing")  # fmt: skip
    version = _evidence(answer).at("model", "version")
    named = version is None or re.search(rf"\b(v|version )\.?{re.escape(str(version))}\b", text, re.IGNORECASE)
    case.expect(named, "The version is not named.", hint="no-version", version=version, share=0.5,
                expected=f"v{version}", received="nothing")  # fmt: skip
