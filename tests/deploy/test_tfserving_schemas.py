"""Our files read back by TensorFlow Serving's own schemas, TensorFlow's own reader and the SavedModel itself."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from venvs import ROOT, python_with

from mlops_lab.deploy import tfserving, warmup
from mlops_lab.store import ModelStore

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow, pytest.mark.timeout(1200)]
TEMPLATES = Path(tfserving.__file__).parent / "templates" / "tfserving"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    from types import SimpleNamespace

    from jinja2 import Environment, StrictUndefined

    folder = tmp_path_factory.mktemp("tfserving")
    shutil.copytree(ROOT / "models" / "clothes", folder / "models" / "clothes")
    models = ModelStore(folder / "models")
    spec = SimpleNamespace(name="clothes", version="production", models=models.root, port=8501, grpc_port=None)
    template = Environment(undefined=StrictUndefined).from_string((TEMPLATES / "models.config").read_text("utf-8"))
    (folder / "models.config").write_text(template.render(**tfserving.context(spec)), encoding="utf-8")
    version = models.get("clothes", 1)
    python = python_with("tfserving", "tensorflow-serving-api==2.21.0", beside_ours=True)
    script = Path(__file__).parent / "readers" / "read_tfserving.py"
    command = [python, script, folder / "models.config", warmup.write_warmup(version), version.path]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]), version


def test_the_config(found):
    config = found[0]["config"]["modelConfigList"]["config"]
    assert config == [
        {
            "name": "clothes",
            "basePath": "/models/clothes",
            "modelPlatform": "tensorflow",
            "modelVersionPolicy": {"specific": {"versions": ["1"]}},
            "versionLabels": {"production": "1"},
        }
    ]


def test_the_warm_up_requests_are_the_golden_examples(found):
    requests, version = found[0]["requests"], found[1]
    golden = version.manifest.golden
    assert [request["shapes"] for request in requests] == [{"image": [1, 28, 28, 1]}, {"image": [10, 28, 28, 1]}]
    for request in requests:
        assert (request["model"], request["signature"], request["version"]) == ("clothes", "serving_default", None)
        assert request["unknown"] == 0
        outputs = np.array(request["outputs"])
        np.testing.assert_allclose(outputs, golden.outputs[: len(outputs)], atol=golden.tolerance)
