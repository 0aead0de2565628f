"""Servers for the corpus: the reference answers of serve-1 to serve-5, and ten ways to write the same."""

from __future__ import annotations

from corpus_types import edited

from mlops_lab.grade.rubric.images import MATERIAL

ONNX = {"models/clothes.onnx": (MATERIAL / "clothes.onnx").read_bytes()}
REFERENCE = (MATERIAL / "api.txt").read_text(encoding="utf-8")
LABELS = REFERENCE[REFERENCE.index("LABELS =") : REFERENCE.index("ERRORS =")]


def changed(*pairs: tuple[str, str], source: str = REFERENCE) -> dict[str, str | bytes]:
    """Return the files of an answer: the reference with some text replaced, each of which must be there."""
    for old, new in pairs:
        assert old in source, old
        source = source.replace(old, new)
    return {"api.py": source, **ONNX}


RETURN = 'return {"label": LABELS[best], "class": best, "probabilities": row.tolist()}'

FASTAPI = f"""
import io
import numpy as np
import onnxruntime
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from PIL import Image

{LABELS}
app = FastAPI()
session = onnxruntime.InferenceSession("models/clothes.onnx", providers=["CPUExecutionProvider"])

@app.get("/models/clothes/v1")
def info():
    return {{"name": "clothes", "version": "v1", "description": "garments", "number_of_parameters": 44426}}

@app.get("/readyz")
def ready():
    return {{"ready": True}}

@app.post("/models/clothes/v1")
async def classify(request: Request):
    data = await request.body()
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        try:
            form = await request.form()
        except Exception as error:
            return JSONResponse({{"error": f"no form: {{error}}"}}, 400)
        part = form.get("image")
        data = await part.read() if hasattr(part, "read") else b""
    try:
        image = Image.open(io.BytesIO(data))
        if image.size != (28, 28):
            return JSONResponse({{"error": f"28x28 wanted, got {{image.size}}"}}, 413)
        pixels = np.asarray(image.convert("L"), np.float32)
    except (OSError, ValueError, SyntaxError) as error:
        return JSONResponse({{"error": f"not an image: {{error}}"}}, 400)
    row = session.run(None, {{session.get_inputs()[0].name: pixels.reshape(1, 28, 28, 1) / 255}})[0][0]
    best = int(row.argmax())
    return {{"label": LABELS[best], "probabilities": [float(one) for one in row]}}
"""

HTTP_SERVER = f"""
import cgi_free, io, json
import numpy as np
import onnxruntime
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from PIL import Image

{LABELS}
session = onnxruntime.InferenceSession("models/clothes.onnx", providers=["CPUExecutionProvider"])

class Handler(BaseHTTPRequestHandler):
    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/readyz":
            self.answer(200, {{"ready": True}})
        elif self.path == "/models/clothes/v1":
            self.answer(200, {{"name": "clothes", "version": "v1", "description": "d", "number_of_parameters": 133280}})
        else:
            self.answer(404, {{"error": "not found"}})

    def do_POST(self):
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            message = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\\r\\n\\r\\n" + data)
            parts = [p for p in message.get_payload() if p.get_param("name", header="content-disposition") == "image"]
            data = parts[0].get_payload(decode=True) if parts else b""
        try:
            image = Image.open(io.BytesIO(data))
            if image.size != (28, 28):
                return self.answer(400, {{"error": "28x28"}})
            pixels = np.asarray(image.convert("L"), np.float32)
        except (OSError, ValueError, SyntaxError) as error:
            return self.answer(400, {{"error": str(error)}})
        row = session.run(None, {{session.get_inputs()[0].name: pixels.reshape(1, 28, 28, 1) / 255}})[0][0]
        self.answer(200, {{"label": LABELS[int(row.argmax())], "probabilities": row.tolist()}})

if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 5000), Handler).serve_forever()
""".replace("import cgi_free, io, json", "import io, json")

STANDS = '    ThreadingHTTPServer(("127.0.0.1", 5000), Handler).serve_forever()\n'
IPV6 = edited(HTTP_SERVER, (STANDS, (
    "    import socket\n    ThreadingHTTPServer.address_family = socket.AF_INET6\n"
    '    ThreadingHTTPServer(("::1", 5000), Handler).serve_forever()\n')))  # fmt: skip

FACTORY = REFERENCE.replace("app = Flask(__name__)\n", "").replace("@app.", "@routes.").replace(
    "options = onnxruntime", 'from flask import Blueprint\n\nroutes = Blueprint("routes", __name__)\noptions = onnxruntime'
) + "\n\ndef create_app():\n    app = Flask(__name__)\n    app.register_blueprint(routes)\n    return app\n"  # fmt: skip

# Ten right ways, each of which answers serve-1 to serve-4.
VARIANTS: dict[str, dict[str, str | bytes]] = {
    "FastAPI": {"api.py": FASTAPI, **ONNX},
    "a factory and a blueprint": {"api.py": FACTORY, **ONNX},
    "a trailing slash": changed(('"/models/clothes/v1"', '"/models/clothes/v1/"')),
    "other keys, in another order": changed(
        (RETURN, 'return {"scores": row.tolist(), "prediction": {"name": LABELS[best]}}')
    ),
    "a list of predictions": changed(
        (RETURN, 'return {"model": "clothes", "predictions": [{"probabilities": row.tolist(), "label": LABELS[best]}]}')
    ),
    "the label's index": changed((RETURN, 'return {"class": best, "probabilities": row.tolist()}')),
    "numbers as text": changed(
        (RETURN, 'return {"label": LABELS[best], "probabilities": [f"{one:.9f}" for one in row]}')
    ),
    "a dict by label": changed(
        (RETURN, 'return {"label": LABELS[best], "probabilities": dict(zip(LABELS, row.tolist()))}')
    ),
    "a charset, an umlaut, and app.run where it belongs": changed(
        (
            RETURN,
            'return app.response_class(json.dumps({"label": LABELS[best], "probabilities": row.tolist(), "für": 1}, '
            'ensure_ascii=False), content_type="application/json; charset=utf-8")',
        ),
        ("import io\n", "import io\nimport json\n"),
    )
    | {},
    "the standard library, as a program": {"api.py": HTTP_SERVER, **ONNX},
}
VARIANTS["a charset, an umlaut, and app.run where it belongs"]["api.py"] += (  # type: ignore[operator]
    '\nif __name__ == "__main__":\n    app.run(debug=True, host="0.0.0.0")\n'
)

KERAS = REFERENCE.replace(
    REFERENCE[REFERENCE.index("options =") : REFERENCE.index('@app.get("/models/clothes/v1")')],
    'import keras\n\nmodel = keras.models.load_model("models/clothes.keras")\n\n\n',
).replace(
    "session.run(None, {session.get_inputs()[0].name: pixels.reshape(1, 28, 28, 1) / 255})[0][0]",
    "model(pixels.reshape(1, 28, 28, 1) / 255).numpy()[0]",
).replace("import onnxruntime\n", "")  # fmt: skip

MANY = """
import io, json
from pathlib import Path
import numpy as np
import onnxruntime
from flask import Flask, request
from PIL import Image

app = Flask(__name__)
MODELS = {}
for path in Path("models").glob("*/*/manifest.json"):
    manifest = json.loads(path.read_text())
    session = onnxruntime.InferenceSession(str(path.parent / "model.onnx"), providers=["CPUExecutionProvider"])
    MODELS.setdefault(manifest["name"], {})[manifest["version"]] = (manifest, session)

def find(name, version):
    versions = MODELS.get(name)
    if versions is None:
        return None, ({"error": f"no model {name}; there are: {sorted(MODELS)}"}, 404)
    number = max(versions) if version == "latest" else int(version[1:]) if version[1:].isdigit() else 0
    if number not in versions:
        return None, ({"error": f"no version {version}; there are: {[f'v{one}' for one in versions]}"}, 404)
    return versions[number], None

@app.get("/models")
def models():
    return {"models": [{"name": name, "versions": [f"v{n}" for n in versions]} for name, versions in MODELS.items()]}

@app.get("/models/<name>/<version>")
def info(name, version):
    found, refusal = find(name, version)
    return refusal or {"name": name, "version": f"v{found[0]['version']}", "labels": found[0]["labels"]}

@app.post("/models/<name>/<version>")
def classify(name, version):
    found, refusal = find(name, version)
    if refusal:
        return refusal
    manifest, session = found
    spec = manifest["input"]
    try:
        image = Image.open(io.BytesIO(request.get_data())).convert("L")
    except OSError as error:
        return {"error": str(error)}, 400
    height, width = spec["preprocessing"]["size"]
    if image.size != (width, height):
        return {"error": "wrong size"}, 400
    pixels = np.asarray(image, np.float32).reshape(1, *spec["shape"]) * np.float32(spec["range"][1] / 255)
    outputs = [item.name for item in session.get_outputs() if item.type == "tensor(float)"][:1]
    row = session.run(outputs, {session.get_inputs()[0].name: pixels})[0][0]
    return {"label": manifest["labels"][int(row.argmax())], "probabilities": row.tolist()}
"""


def many(*pairs: tuple[str, str]) -> dict[str, str | bytes]:
    """Return an answer to serve-5 with some text replaced."""
    return {"api.py": changed(*pairs, source=MANY)["api.py"]}


MANY_VARIANTS: dict[str, dict[str, str | bytes]] = {
    "plain": many(),
    "a trailing slash": many(('"/models/<name>/<version>"', '"/models/<name>/<version>/"')),
    "names only": many((
        'return {"models": [{"name": name, "versions": [f"v{n}" for n in versions]} for name, versions in MODELS.items()]}',
        "return sorted(MODELS)",
    )),
    "a factory": many(("app = Flask(__name__)\n", ""), ("@app.", "@routes."), (
        "MODELS = {}\n", 'from flask import Blueprint\nroutes = Blueprint("routes", __name__)\nMODELS = {}\n'))
    | {},
    "latest as an alias in the table": many(
        ("max(versions) if version", "sorted(versions)[-1] if version")),
    "the index beside the name": many(('return {"label": ', 'return {"class": int(row.argmax()), "label": ')),
    "other keys": many(('"probabilities": row.tolist()', '"scores": row.tolist()')),
    "numbers as text": many(("row.tolist()}", "[str(one) for one in row.tolist()]}")),
    "folders instead of manifests": many(
        ('manifest["version"]] =', "int(path.parent.name)] ="), ('MODELS.setdefault(manifest["name"]',
         "MODELS.setdefault(path.parents[1].name")),
    "loaded when first asked": many(
        ('    session = onnxruntime.InferenceSession(str(path.parent / "model.onnx"), providers=["CPUExecutionProvider"])\n',
         '    session = lambda path=path: onnxruntime.InferenceSession(str(path.parent / "model.onnx"))\n'),
        ("    manifest, session = found\n", "    manifest, load = found\n    session = CACHE.setdefault((name, version), None) "
         "or CACHE.__setitem__((name, version), load()) or CACHE[name, version]\n"),
        ("MODELS = {}\n", "MODELS, CACHE = {}, {}\n")),
}  # fmt: skip
MANY_VARIANTS["a factory"]["api.py"] += (  # type: ignore[operator]
    "\ndef create_app():\n    app = Flask(__name__)\n    app.register_blueprint(routes)\n    return app\n"
)

NUMBER = """
import io, os
import numpy as np
import requests
from flask import Flask, request
from PIL import Image

app = Flask(__name__)
DIGITS = os.environ.get("DIGITS_URL", "http://127.0.0.1:5000") + "/models/digits/v1"
session = requests.Session()
session.trust_env = False

def boxes(pixels):
    ink = pixels.any(axis=0)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], ink.astype(int), [0]])))
    return list(zip(edges[::2], edges[1::2]))

def png(pixels):
    wide = np.zeros((8, 8), np.uint8)
    wide[:, (8 - pixels.shape[1]) // 2:][:, :pixels.shape[1]] = pixels
    buffer = io.BytesIO()
    Image.fromarray(wide).save(buffer, format="PNG")
    return buffer.getvalue()

@app.post("/chains/number")
def number():
    pixels = np.asarray(Image.open(io.BytesIO(request.get_data())).convert("L"))
    digits = []
    for left, right in boxes(pixels):
        try:
            answer = session.post(DIGITS, data=png(pixels[:, left:right]), headers={"Content-Type": "image/png"}, timeout=3)
            answer.raise_for_status()
        except requests.RequestException as error:
            return {"error": f"the digits model did not answer: {error}"}, 502
        digits.append(answer.json()["predictions"][0]["label"])
    return {"number": "".join(digits)}
"""


def number(*pairs: tuple[str, str]) -> dict[str, str | bytes]:
    """Return an answer to serve-6 with some text replaced."""
    return {"api.py": changed(*pairs, source=NUMBER)["api.py"]}


SENT = 'session.post(DIGITS, data=png(pixels[:, left:right]), headers={"Content-Type": "image/png"}, timeout=3)'
NUMBER_VARIANTS: dict[str, dict[str, str | bytes]] = {
    "plain": number(),
    "a list of digits": number(('{"number": "".join(digits)}', '{"digits": digits}')),
    "a whole number": number(('{"number": "".join(digits)}', '{"text": "".join(digits), "length": len(digits)}')),
    "a form": number(
        (SENT, 'session.post(DIGITS, files={"image": ("d.png", png(pixels[:, left:right]), "image/png")}, timeout=3)')
    ),
    "503 with a reason": number(("}, 502", "}, 503")),
    "504 with a reason": number(("}, 502", "}, 504")),
    "rounded the other way": number(("wide[:, (8 - pixels.shape[1]) // 2:]", "wide[:, (9 - pixels.shape[1]) // 2:]")),
    "fitted by the other server": number(("Image.fromarray(wide)", "Image.fromarray(pixels)")),
    "no session": number((SENT, SENT.replace("session.post", "requests.post"))),
    "a trailing slash": number(('"/chains/number"', '"/chains/number/"')),
}
