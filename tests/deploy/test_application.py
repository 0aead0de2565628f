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
    ("text", "words"), [("server = 1\n", "defines no 'app'"), ("app = \n", "cannot be read as Python")]
)
def test_what_is_no_application(api, text, words):
    with pytest.raises(WrongUsage, match=words):
        application.engine(api(api=text))
