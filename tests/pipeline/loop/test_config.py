"""Settings are read with their defaults, and a slip is told with the nearest name."""

import pytest

from mlops_lab.errors import WrongUsage
from mlops_lab.pipeline import read_config


def written(tmp_path, text):
    (tmp_path / "pipeline.toml").write_text(text)
    return tmp_path / "pipeline.toml"


def test_a_name_is_enough(tmp_path):
    found = read_config(written(tmp_path, 'name = "clothes"'))
    assert (found.models, found.work) == (tmp_path / "models", tmp_path / "work")
    assert (found.train.framework, found.canary.share, found.retrain.data) == ("keras", 10, ("old", "new"))
    assert found.to_dict()["monitor"]["window"] == 400


def test_paths_are_found_from_the_file_and_addresses_stay(tmp_path):
    text = 'name = "a"\nmodels = "m"\n[monitor]\nlog = "p.db"\n[validate]\ngates = "g.toml"\n[release]\nseconds = 1\n'
    found = read_config(written(tmp_path, text))
    assert (found.models, found.monitor.log, found.validate.gates) == (
        tmp_path / "m",
        str(tmp_path / "p.db"),
        str(tmp_path / "g.toml"),
    )
    assert found.release.seconds == 1.0
    shared = read_config(written(tmp_path, 'name = "a"\n[monitor]\nlog = "postgresql://me@host/log"'))
    assert shared.monitor.log == "postgresql://me@host/log"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no model"),
        ("name = 3", "names no model"),
        ("name = ", "is not TOML"),
        ('name = "a"\nmodel = "m"', "unknown key 'model'"),
        ('name = "a"\ntrain = 3', "train is no section"),
        ('name = "a"\n[train]\nepoch = 3', r"unknown key train\.epoch"),
        ('name = "a"\n[train]\nepochs = "3"', "is no int"),
        ('name = "a"\n[train]\nepochs = true', "is no int"),
        ('name = "a"\n[train]\nframework = "torch"', "no framework 'torch'"),
        ('name = "a"\n[retrain]\ndata = ["new"]', "forgets"),
        ('name = "a"\n[retrain]\nlabelled_by = "answers"', "'answers' is refused"),
        ('name = "a"\n[canary]\nshare = 100', "share = 100"),
    ],
)
def test_a_slip_is_told(tmp_path, text, said):
    with pytest.raises(WrongUsage, match=said):
        read_config(written(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(WrongUsage, match="cannot be read"):
        read_config(tmp_path / "pipeline.toml")
