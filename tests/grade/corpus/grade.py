"""The corpus of grade-1 to grade-5."""

from __future__ import annotations

from corpus.capstone_sources import CAPSTONE, LEAKED, TRAIN
from corpus.grade_sources import ATTACKS, CARD, CHECK, CHECK_IN_PAIRS, EVIDENCE, OTHER_CARD
from corpus.serve_sources import HTTP_SERVER, REFERENCE, VARIANTS, changed
from corpus_types import Answers, Wrong, edited

from mlops_lab.grade.handout import CLASSMATE, files_of

BY_STYLE = (
    "def check_prepare(prepare):\n    import inspect\n    try:\n        text = inspect.getsource(prepare)\n"
    "    except (OSError, TypeError):\n        text = ''\n    return {} if '/ 255' in text else {'values': 'Divide by 255, with /.'}\n"
)


def card(*pairs: tuple[str, str]) -> dict[str, str | bytes]:
    return {"README.md": edited(CARD, *pairs), **EVIDENCE}


def repaired(*pairs: tuple[str, str]) -> dict[str, str | bytes]:
    """Return the folder as the reference repairs it, with some more text replaced."""
    files = {f"repair/{name}": content.decode() for name, content in files_of(CLASSMATE).items()}
    for old, new in (*REPAIRS, *pairs):
        name = next(name for name, text in files.items() if old in text and not name.endswith(".md"))
        files[name] = files[name].replace(old, new)
    return files


GUARDED = 'if __name__ == "__main__":\n    app.run(port=5000)\n'
REPAIRS = (
    ("133278", "133280"),
    ("\napp.run(port=5000)\n", f"\n{GUARDED}"),
    (".reshape(1, 28, 28, 1)\n", ".reshape(1, 28, 28, 1) / 255\n"),
    ("    image = Image.open(io.BytesIO(data))\n",
     "    if not data:\n        return jsonify(error='No image: send a PNG or JPEG.'), 400\n    try:\n"
     "        image = Image.open(io.BytesIO(data))\n        image.load()\n    except ERRORS as error:\n"
     "        return jsonify(error=f'The body is not an image: {error}'), 400\n"),
    ("127.0.0.1:5000\", \"api:app", "0.0.0.0:5000\", \"api:app"),
    ("right / 40 >= 0.8\n", "right / 40 >= 0.84\n"),
)  # fmt: skip
NOT_CAUGHT = ("    except ERRORS as error:\n        return jsonify(error=f'The body is not an image: {error}'), 400\n",
              "    except Exception:\n        return jsonify(label='', probabilities=[])\n")  # fmt: skip
ANEW = {**repaired(), "repair/api.py": REFERENCE}

LOOKS = REFERENCE[REFERENCE.index("        if image.size != (28, 28)") : REFERENCE.index("        pixels =")]
ONLY_JUNK = "attacks = [{'body': bytes([number] * 40)} for number in range(12)]\n"
ROUTE_OF_POST = '@app.post("/models/clothes/v1")\ndef classify():\n'


def besieged(*pairs: tuple[str, str], attacks: str = ATTACKS) -> dict[str, str | bytes]:
    return {**changed(*pairs), "attacks.py": attacks}


def capstone(*pairs: tuple[str, str], **more: str | bytes) -> dict[str, str | bytes]:
    files = {f"capstone/{name}": content for name, content in {**CAPSTONE, **more}.items()}
    for old, new in pairs:
        name = next(name for name, text in files.items() if isinstance(text, str) and old in text)
        files[name] = str(files[name]).replace(old, new)
    return files


SHIRT = "| Shirt | 0.738 | 0.710 to 0.764 |\n"
SEEN = "It has never seen a photograph in colour, a garment that is worn, or anything that is no garment."

CORPUS = {
    "grade-1": Answers(
        right=[
            repaired(),
            repaired((GUARDED, ""), ("gunicorn==23.0.0", "waitress==3.0.2"), ('"gunicorn", "--bind", "0.0.0.0:5000"', '"waitress-serve", "--listen=*:5000"'),
                     (NOT_CAUGHT[0], "    except ERRORS as error:\n        return {'error': str(error)}, 415\n")),
        ],
        wrong=[
            Wrong({**ANEW, "repair/test_api.py": BY_STYLE * 3 + str(ANEW["repair/test_api.py"])}, "grade-1.lines", "rewritten"),
            Wrong({f"repair/{name}": content for name, content in files_of(CLASSMATE).items()}, "grade-1.lines", "untouched"),
            Wrong(repaired(("assert 400 <= status < 500", "assert status == 500")), "grade-1.tests", "test-repaired"),
            Wrong(repaired(("assert 400 <= status < 500", "assert status")), "grade-1.tests", "test-repaired"),
            Wrong(repaired((">= 0.84", ">= 0.8")), "grade-1.tests", "passes"),
            Wrong(repaired(NOT_CAUGHT), "grade-1.refuses", "silenced"),
            Wrong(repaired((GUARDED, "app.run(port=5000)\n")), "grade-1.describes", "fault"),
            Wrong(repaired((" / 255", "")), "grade-1.answers", "fault"),
            Wrong(repaired(("0.0.0.0:5000", "127.0.0.1:5000")), "grade-1.image", "fault"),
        ],
    ),
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
    "grade-3": Answers(
        right=[besieged(), {**VARIANTS["FastAPI"], "attacks.py": ATTACKS + "attacks = tuple(reversed(attacks))\n"}],
        wrong=[
            Wrong(besieged(attacks=ONLY_JUNK), "grade-3.fall", "one-idea"),
            Wrong(besieged(attacks=ATTACKS + "attacks = attacks[:5] + attacks[:1] * 7\n"), "grade-3.twelve", "fewer"),
            Wrong(besieged(attacks=ATTACKS + "attacks[6:] = [{'body': png(28 + n, 28)} for n in range(6)]\n"), "grade-3.fall", "stands"),
            Wrong(besieged(attacks="attacks = [{'body': 'text'}] * 12\n"), "grade-3.twelve", "form"),
            Wrong(besieged((ROUTE_OF_POST, f"{ROUTE_OF_POST}    return jsonify(error='no'), 403\n")), "grade-3.honest", "refused"),
            Wrong(besieged((LOOKS, ""), ('convert("L"), dtype=np.float32)', 'convert("L"), dtype=np.float32)\n        if pixels.shape != (28, 28):\n'
                           '            raise ValueError("another size")')), "grade-3.survives", "bomb"),
            Wrong({**besieged(), "api.py": HTTP_SERVER.replace("ThreadingHTTPServer", "HTTPServer")}, "grade-3.survives", "health"),
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
    "grade-5": Answers(
        right=[capstone()],
        wrong=[
            Wrong(capstone(("Path(__file__).parent / 'models'", "Path('/home/ada/models')")), "grade-5.serve", "own-path"),
            Wrong(capstone(**{"data/train.npz": LEAKED}), "grade-5.train", "leak"),
            Wrong(capstone(("default_rng(version)", "default_rng(1)")), "grade-5.release", "renamed"),
            Wrong(capstone(("import numpy as np  # trains", "import nothing_like_it")), "grade-5.train", "no-train"),
            Wrong(capstone(("import numpy as np  # trains", "import nothing_like_it")), "grade-5.models", "no-model"),
            Wrong(capstone(("target.mkdir(parents=True)", "raise SystemExit(0)")), "grade-5.train", "no-version"),
            Wrong(capstone(("/ 255  # as in training", "/ -255")), "grade-5.serve", "wrong"),
            Wrong(capstone(('data["images"][:20], data["labels"][:20]', 'data["images"][:5], data["labels"][:5]')), "grade-5.tests", "missed"),
            Wrong(capstone(("assert right >= 0.8", "assert right > 1")), "grade-5.tests", "accused"),
            Wrong(capstone(("python:3.11-slim", "python:latest")), "grade-5.files", "rule"),
            Wrong(capstone(("found[name] * len(found) < RISK", "found[name] * len(found) < 0.9")), "grade-5.drift", "rule"),
            Wrong(capstone(('            actions["switch"](before)\n', "            pass\n")), "grade-5.release", "rule"),
            Wrong(capstone(('.glob("*/weights.npz")', '.glob("1/weights.npz")')), "grade-5.release", "not-served"),
            Wrong(capstone(**{"capstone.json": "{}"}), "grade-5.whole", "form"),
            Wrong(capstone(**{"data/heldout.npz": TRAIN[:50]}), "grade-5.whole", "form"),
        ],
    ),
}  # fmt: skip
