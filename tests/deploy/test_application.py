import pytest

from mlops_lab.deploy import application
from mlops_lab.errors import WrongUsage

FLASK = "from flask import Flask\napp = Flask(__name__)\n"


@pytest.fixture
def api(tmp_path):
    """Write files beside each other, and return the first."""

    def write(api, **others):
        for name, text in {"api": api, **others}.items():
            path = tmp_path / f"{name}.py"
            path.write_text(text)
        return tmp_path / "api.py"

    return write


@pytest.mark.parametrize(
    ("line", "engine"),
    [
        ("import numpy", "onnx"),
        ("import onnxruntime", "onnx"),
        ("import tensorflow as tf", "keras"),
        ("from keras.models import load_model", "keras"),
        ("from tensorflow.keras import models", "keras"),
        ("def load():\n    import keras", "keras"),
        ("from sklearn.svm import SVC", "sklearn"),
        ("import sklearn, tensorflow", "keras"),
    ],
)
def test_what_it_imports_says_what_it_needs(api, line, engine):
    assert application.engine(api(api=f"{FLASK}{line}\n")) == engine


def test_what_stands_beside_it_comes_along(api, tmp_path):
    path = api(
        api="import model\nfrom parts import shapes\n" + FLASK,
        model="import helper\nimport keras\n",
        helper="import json, model\n",
        colours="",
        alone="import tensorflow\n",
    )
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("from . import shapes\n")
    (tmp_path / "parts" / "shapes.py").write_text("import colours\n")
    names = sorted(source.relative_to(tmp_path).as_posix() for source in application.sources(path))
    assert names == ["api.py", "colours.py", "helper.py", "model.py", "parts"]
    assert application.engine(path) == "keras"


@pytest.mark.parametrize("text", ["from server import app\n", "import server as app\n", "app: object = 1\n"])
def test_an_app_is_an_app_however_it_is_made(api, text):
    assert application.engine(api(api=text)) == "onnx"


@pytest.mark.parametrize(
    ("text", "words"), [("server = 1\n", "defines no 'app'"), ("app = \n", "cannot be parsed as Python")]
)
def test_what_is_no_application(api, text, words):
    with pytest.raises(WrongUsage, match=words):
        application.engine(api(api=text))


@pytest.mark.parametrize(
    ("routes", "path"),
    [
        ('@app.get("/")\ndef a(): ...\n@app.get("/healthz")\ndef b(): ...', "/healthz"),
        ('@app.route("/models")\ndef a(): ...', "/models"),
        ('@app.route("/models", methods=["GET", "POST"])\ndef a(): ...', "/models"),
        ('@blueprint.get("/status")\nasync def a(): ...', "/status"),
        ('@app.post("/predict")\ndef a(): ...', None),
        ('@app.route("/predict", methods=["POST"])\ndef a(): ...', None),
        ('@app.get("/models/<name>")\ndef a(name): ...', None),
        ("@app.get(PATH)\ndef a(): ...\n@cache\ndef b(): ...", None),
    ],
)
def test_the_health_endpoint_is_a_get_route_without_parameters(api, routes, path):
    assert application.health_path(api(api=f"{FLASK}{routes}\n")) == path


def test_routes_of_a_module_beside_it_count(api):
    assert (
        application.health_path(api(api=f"import views\n{FLASK}", views='@app.get("/ping")\ndef a(): ...')) == "/ping"
    )


@pytest.fixture
def beside(tmp_path):
    """Data files of several kinds beside an application, and a models folder."""
    for name in ("labels.json", "data/a.csv", "data/b.csv", "static/page.css", "models/m/1/manifest.json", ".env"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("", []),
        ("open('labels.json')", ["labels.json"]),
        ("open(Path(__file__).parent / 'labels.json')", ["labels.json"]),
        ("open('data/a.csv')", ["data/a.csv"]),
        ("open(f'data/{name}.csv')", ["data"]),
        ("os.path.join('data', 'a.csv'), 'data/b.csv'", ["data"]),
        ("open('models/m/1/manifest.json')", ["models/m/1/manifest.json"]),
        ("f'models/m/{number}'", []),
        ("'models'", []),
        ("'.', '/', '', '..', '.env', '../x', '/etc/passwd', 'missing.json', 'a\\nb'", []),
        ("'api.py', 'helper.py'\nimport helper", []),
    ],
)
def test_the_data_files_that_the_code_names(api, beside, code, found):
    path = api(api=f"{FLASK}{code}\n", helper="")
    assert application.data_files(path, beside / "models") == sorted([*found, "static"])
