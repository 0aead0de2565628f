"""The corpus of serve-1 to serve-5: right answers in ten styles each, and the mistakes that are often made."""

from __future__ import annotations

from corpus.serve_sources import (
    IPV6,
    KERAS,
    MANY_VARIANTS,
    NUMBER_VARIANTS,
    ONNX,
    REFERENCE,
    RETURN,
    SENT,
    VARIANTS,
    changed,
    many,
    number,
)
from corpus_types import Answers, Wrong

DIVIDED = "pixels.reshape(1, 28, 28, 1) / 255"
GET = '@app.get("/models/clothes/v1")'
POST = '@app.post("/models/clothes/v1")'
INFO = REFERENCE[REFERENCE.index("    return {\n") : REFERENCE.index('@app.get("/readyz")')]
TRY = REFERENCE[REFERENCE.index("    try:\n") : REFERENCE.index("    row =")]


def prepared(expression: str) -> dict[str, str | bytes]:
    return changed((DIVIDED, expression))


SHAPE = ".reshape(1, 28, 28, 1)"
KERAS_FILES = {"api.py": KERAS}
LOADS_EACH = "    session = onnxruntime.InferenceSession('models/clothes.onnx', providers=['CPUExecutionProvider'])\n"

CORPUS = {
    "serve-1": Answers(
        right=[*VARIANTS.values(), {"api.py": IPV6, **ONNX}],
        wrong=[
            Wrong({"api.py": "from mlops_lab.serve import create_app\napp = create_app([])\n"}, "serve-1.starts", "library"),
            Wrong(changed((INFO, "    return str({'name': 'clothes', 'version': 'v1'})\n\n\n")), "serve-1.json", "single-quotes"),
            Wrong({**changed(), "api.py": REFERENCE + "\napp.run(port=5005)\n"}, "serve-1.import", "runs"),
            Wrong(changed(('        "description": "Classify images of articles of clothing",\n', "")), "serve-1.keys", "missing-key"),
            Wrong(changed(("133280", "133278")), "serve-1.keys", "count"),
            Wrong(changed((GET, '@app.get("/<path:anything>", defaults={"x": 1})'), ("def info()", "def info(anything, x)")),
                  "serve-1.elsewhere", "everywhere"),
            Wrong({**changed(), "api.py": "import nothing_of_that_name\n"}, "serve-1.starts", "no-start"),
            Wrong({**changed(), "api.py": "while True:\n    pass\n"}, "serve-1.starts", "never-loaded"),
        ],
    ),
    "serve-2": Answers(
        right=[*VARIANTS.values(), KERAS_FILES],
        wrong=[
            Wrong({"api.py": "from mlops_lab.serve import create_app\napp = create_app([])\n"}, "serve-2.answers", "library"),
            Wrong(changed((POST, '@app.get("/somewhere-else")')), "serve-2.answers", "405"),
            Wrong(prepared(f"pixels{SHAPE}"), "serve-2.prepare", "not-divided"),
            Wrong(changed((RETURN, 'return {"label": LABELS[best], "probabilities": list(row)}')), "serve-2.answers", "500"),
            Wrong(prepared(f"pixels{SHAPE} / 255 / 255"), "serve-2.model", "divided-twice"),
            Wrong(prepared(f"pixels{SHAPE} // 255"), "serve-2.model", "whole-numbers"),
            Wrong(prepared(f"pixels.T{SHAPE} / 255"), "serve-2.model", "transposed"),
            Wrong(prepared(f"1 - pixels{SHAPE} / 255"), "serve-2.model", "inverted"),
            Wrong(prepared(f"pixels[:, ::-1]{SHAPE} / 255"), "serve-2.prepare", "mirrored"),
            Wrong(prepared(f"pixels{SHAPE} / 127.5 - 1"), "serve-2.prepare", "minus-one-to-one"),
            Wrong(prepared(f"pixels{SHAPE} / max(pixels.max(), 1)"), "serve-2.prepare", "own-maximum"),
            Wrong(prepared(f"0 * pixels{SHAPE}"), "serve-2.model", "constant"),
            Wrong(changed((RETURN, 'return {"label": LABELS[best]}')), "serve-2.package", "no-probabilities"),
            Wrong(changed((RETURN, 'return {"label": LABELS[0], "probabilities": row.tolist()}')), "serve-2.package", "winner"),
            Wrong(changed((RETURN, 'return {"label": LABELS[best], "probabilities": (row * 2).tolist()}')), "serve-2.package", "sum"),
        ],
    ),
    "serve-3": Answers(
        right=list(VARIANTS.values()),
        wrong=[
            Wrong(changed((TRY, '    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=np.float32)\n')),
                  "serve-3.status", "html"),
            Wrong(changed(('this one has {image.size[0]}×{image.size[1]}."), 400', 'no."), 200'),
                          ('return jsonify(error=f"The body is not an image: {error}"), 400', 'return jsonify(error="no"), 200')),
                  "serve-3.status", "200"),
            Wrong(changed((TRY + REFERENCE[REFERENCE.index("    row ="):], (
                      "    try:\n"
                      "        image = Image.open(io.BytesIO(data))\n"
                      "        if image.size != (28, 28):\n            raise ValueError\n"
                      '        pixels = np.asarray(image.convert("L"), dtype=np.float32)\n'
                      "        row = session.run(None, {session.get_inputs()[0].name: pixels.reshape(1, 28, 28, 1) / 255})[0][0]\n"
                      "        best = int(row.argmax())\n"
                      f"        {RETURN}\n"
                      "    except Exception:\n        return jsonify(error='bad image'), 400\n"))),
                  "serve-3.alive", "broad"),
            Wrong(changed(('return jsonify(error=f"The body is not an image: {error}"), 400',
                           "import traceback; return jsonify(error=traceback.format_exc()), 400")),
                  "serve-3.says", "traceback"),
        ],
    ),
    "serve-4": Answers(
        right=list(VARIANTS.values()),
        wrong=[
            Wrong(changed(("    row = session", LOADS_EACH + "    row = session")), "serve-4.once", "each"),
            Wrong(changed(("    row = session", "    global last\n    last = pixels\n    import time; time.sleep(0.01)\n    row = session"),
                          ("pixels.reshape", "last.reshape")), "serve-4.own", "mixed"),
            Wrong(changed(("session = onnx", "session = None\nother = onnx"),
                          ('other = onnxruntime.InferenceSession("models/clothes.onnx", options, providers=["CPUExecutionProvider"])',
                           "other = None"),
                          ("    row = session", "    global session\n    import time\n    if session is None:\n        time.sleep(1)\n    "
                           + LOADS_EACH.replace("    session", "    session", 1) + "    row = session")), "serve-4.ready", "early"),
            Wrong(changed(('@app.get("/readyz")', '@app.get("/nothing")')), "serve-4.ready", "no-readyz"),
            Wrong(changed(("    row = session", "    import time; time.sleep(0.3)\n    row = session")), "serve-4.fast", "slow"),
        ],
    ),
    "serve-5": Answers(
        right=list(MANY_VARIANTS.values()),
        wrong=[
            Wrong({"api.py": "from mlops_lab.serve import create_app\napp = create_app([])\n"}, "serve-5.starts", "library"),
            Wrong({**changed(), "api.py": REFERENCE.replace('"/models/clothes/v1"', '"/models/clothes/v1"') + "# latest\n"},
                  "serve-5.both", "404"),
            Wrong(many(("max(versions) if version", "sorted(versions, key=str)[-1] if version")), "serve-5.versions", "latest"),
            Wrong(many(("    found, refusal = find(name, version)\n    return", (
                      "    from urllib.parse import unquote\n"
                      "    path = Path('models', unquote(name), version[1:], 'manifest.json')\n"
                      "    if path.exists():\n        return json.loads(path.read_text())\n"
                      "    found, refusal = find(name, version)\n    return")),
                      ('@app.get("/models/<name>/<version>")', '@app.get("/models/<path:name>/<version>")')),
                  "serve-5.outside", "opened"),
            Wrong(many(("; there are: {sorted(MODELS)}", "")), "serve-5.unknown", "no-list"),
            Wrong(many(('Path("models").glob("*/*/manifest.json")', 'Path("models").glob("[cd]*/*/manifest.json")')),
                  "serve-5.third", "404"),
        ],
    ),
    "serve-6": Answers(
        right=list(NUMBER_VARIANTS.values()),
        wrong=[
            Wrong(number(('"".join(digits)', '"".join(reversed(digits))')), "serve-6.number", "order"),
            Wrong(number(("        try:\n", "        digits.append('7'); continue\n        try:\n")), "serve-6.inner", "not-asked"),
            Wrong(number((SENT, SENT.replace(", timeout=3", ""))), "serve-6.limit", "hangs"),
            Wrong(number(("}, 502", "}")), "serve-6.refused", "told-200"),
            Wrong(number(("except requests.RequestException", "except ZeroDivisionError")), "serve-6.refused", "told-500"),
        ],
    ),
}  # fmt: skip
