"""The corpus of grade-1 to grade-5."""

from __future__ import annotations

from corpus.grade_sources import CARD, CHECK, CHECK_IN_PAIRS, EVIDENCE, OTHER_CARD
from corpus_types import Answers, Wrong, edited

BY_STYLE = (
    "def check_prepare(prepare):\n    import inspect\n    try:\n        text = inspect.getsource(prepare)\n"
    "    except (OSError, TypeError):\n        text = ''\n    return {} if '/ 255' in text else {'values': 'Divide by 255, with /.'}\n"
)


def card(*pairs: tuple[str, str]) -> dict[str, str | bytes]:
    return {"README.md": edited(CARD, *pairs), **EVIDENCE}


SHIRT = "| Shirt | 0.738 | 0.710 to 0.764 |\n"
SEEN = "It has never seen a photograph in colour, a garment that is worn, or anything that is no garment."

CORPUS = {
    "grade-2": Answers(
        right=[CHECK, CHECK_IN_PAIRS],
        wrong=[
            Wrong(edited(CHECK, ("np.allclose(batch, wanted, rtol=0, atol=1e-5)", "(batch == wanted.astype(np.float32)).all()")), "grade-2.right", "equal"),
            Wrong(BY_STYLE, "grade-2.right", "style"),
            Wrong(edited(CHECK, ("return {word: HINTS[word] for word in said}", "return {word: HINTS[word] for word in said[:1]}")),
                  "grade-2.several", "first-only"),
            Wrong(edited(CHECK, ("    whole = before", "    batch *= 1\n    whole = before")), "grade-2.right", "writes"),
            Wrong(edited(CHECK, ("    except Exception:\n        yield \"raises\"\n        return\n", "    finally:\n        pass\n")), "grade-2.harmless", "raised"),
            Wrong(edited(CHECK, ("integers(0, 200,", "integers(0, 256,"), ("    images[0] //= 2\n", "    images[:, 0, 0] = 255\n")), "grade-2.wrong", "maximum"),
            Wrong(edited(CHECK, (", images.astype(np.float32)]", "]")), "grade-2.wrong", "changed"),
            Wrong(edited(CHECK, (", images[0], images[:1]", "")), "grade-2.wrong", "other"),
            Wrong(edited(CHECK, ('        yield "maximum"', "        pass")), "grade-2.hints", "no-word"),
            Wrong(edited(CHECK, ('    yield "values"\n', '    yield "values"\n    yield "whole-numbers"\n')), "grade-2.hints", "guess"),
            Wrong(edited(CHECK, ('"Only 0 and 1 are left: what lies between is gone."', '"wrong"')), "grade-2.hints", "no-sentence"),
            Wrong(edited(CHECK, ("return {word: HINTS[word] for word in said}", "return not said")), "grade-2.right", "form"),
            Wrong(edited(CHECK, ('        yield "array"\n', "")), "grade-2.harmless", "passed"),
        ],
    ),
    "grade-4": Answers(
        right=[card(), {"README.md": OTHER_CARD, **EVIDENCE}],
        wrong=[
            Wrong(card(("The accuracy is 0.908", "The accuracy is 0.92")), "grade-4.figures", "memory"),
            Wrong(card(("Shirt | 0.738", "Shirt | 0.838")), "grade-4.figures", "memory"),
            Wrong(card(("Bag | 0.985", "Bag | 0.978")), "grade-4.figures", "memory"),
            Wrong(card(("60,000", "50,000")), "grade-4.figures", "memory"),
            Wrong(card((SHIRT, ""), ("Shirts are the worst", "Some are worse than others")), "grade-4.worst", "left-out"),
            Wrong(card((SHIRT, "| Shirt | low | |\n")), "grade-4.worst", "no-figure"),
            Wrong(card((SEEN, "It works on all clothes.")), "grade-4.limits", "all"),
            Wrong(card((SEEN, "It is a network of seven layers of numbers.")), "grade-4.limits", "no-limit"),
            Wrong(card((f"## Limits\n\n{SEEN}\n\n", "")), "grade-4.limits", "no-heading"),
            Wrong(card((f"## Limits\n\n{SEEN}\n\n", "")), "grade-4.headings", "absent"),
            Wrong(card(("These are the figures of v1, with 133,280 numbers, made with Keras 3.15 and Python 3.11 in 2026.", "v1")),
                  "grade-4.headings", "empty"),
            Wrong(card((", and lies between 0.902 and 0.914 with 95% confidence", "")), "grade-4.accuracy", "no-interval"),
            Wrong(card(("0.908, and lies between 0.902 and 0.914 with 95% confidence", "good: Coat has 0.868")), "grade-4.accuracy", "no-accuracy"),
            Wrong(card(("```console", ""), ("```\n", "")), "grade-4.ask", "no-request"),
            Wrong(card(("# clothes v1", "# clothes"), ("figures of v1", "figures of this one"), ("clothes/v1", "clothes/latest")), "grade-4.ask", "no-version"),
            Wrong({"README.md": CARD}, "grade-4.evidence", "no-evidence"),
            Wrong({**card(), "evidence/quality.json": '{"accuracy": [1], "classes": {"a": 1}}'}, "grade-4.evidence", "no-classes"),
            Wrong({**card(), "evidence/groups.json": '{"coverage": {"groups": [1]}, "b": 2}', "evidence/model.json": "[]"}, "grade-4.figures", "memory"),
        ],
    ),
}  # fmt: skip
