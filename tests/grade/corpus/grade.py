"""The corpus of grade-1 to grade-5."""

from __future__ import annotations

from corpus.grade_sources import CHECK, CHECK_IN_PAIRS
from corpus_types import Answers, Wrong, edited

BY_STYLE = (
    "def check_prepare(prepare):\n    import inspect\n    try:\n        text = inspect.getsource(prepare)\n"
    "    except (OSError, TypeError):\n        text = ''\n    return {} if '/ 255' in text else {'values': 'Divide by 255, with /.'}\n"
)

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
}  # fmt: skip
