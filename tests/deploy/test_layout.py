import os
import shutil
from pathlib import Path

import pytest

from mlops_lab.deploy import layout, serving_config, warmup
from mlops_lab.deploy.layout import examine

ROOT = Path(__file__).parents[2]
CONFIG = """
model_config_list {{
  config {{ name: '{name}' base_path: '{base}' model_version_policy {{ {policy} }} {labels} }}
}}
"""


def config(name="clothes", base="/models/clothes", policy="specific { versions: 1 }", labels=""):
    return CONFIG.format(name=name, base=base, policy=policy, labels=labels)


def label(key, value):
    return f"version_labels {{ key: '{key}' value: {value} }}"


@pytest.fixture
def base(tmp_path):
    """A model's folder as TensorFlow Serving likes it, beside another model's."""
    make_version(tmp_path / "models" / "clothes" / "1")
    return tmp_path / "models" / "clothes"


def make_version(folder):
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"a graph")
    (folder / "variables" / "variables.index").write_bytes(b"index")
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(b"data")
    for path in [folder.parent.parent, folder.parent, folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def rules(folder, **options):
    return [finding.name for finding in examine(folder, **options).findings]


def test_a_good_layout(base):
    found = examine(base, config=config())
    assert found.passed and found.versions == (1,) and not found.findings
    assert "versions that TensorFlow Serving finds: 1\nno problems" in str(found)
    assert found.to_dict() == {"base": str(base), "passed": True, "versions": [1], "findings": []}
    assert "no problems" in found._repr_html_()


def test_the_shipped_models():
    assert examine(ROOT / "models" / "clothes", config=config()).passed
    assert rules(ROOT / "models") == ["store-mounted"]
    digits = examine(ROOT / "models" / "digits").findings
    assert [item.name for item in digits] == ["no-saved-model"]
    assert "only model.onnx, model.skops" in digits[0].message


def test_what_a_store_keeps_beside_the_versions_is_passed_over(base):
    for name in ("aliases.json", "history.jsonl", ".lock", "README.md"):
        (base / name).write_text("{}")
    (base / ".publishing-abc").mkdir()
    assert examine(base).passed


def change(base, kind):
    """Spoil a good layout in one way; return the folder that is mounted."""
    version = base / "1"
    if kind == "no-folder":
        return base / "nowhere"
    if kind == "version-mounted":
        return version
    if kind == "store-mounted":
        return base.parent
    if kind == "v-name":
        version.rename(base / "v1")
    if kind == "not-a-number":
        version.rename(base / "0.1")
    if kind == "no-version":
        shutil.rmtree(version)
    if kind == "twice":
        make_version(base / "001")
    if kind == "file-for-version":
        (base / "2").write_text("a note")
    if kind == "too-deep":
        (base / "2").mkdir()
        version.rename(base / "2" / "saved")
    if kind == "no-saved-model":
        (version / "saved_model.pb").unlink()
    if kind == "empty-model":
        (version / "saved_model.pb").write_bytes(b"")
    if kind == "lfs-pointer":
        (version / "saved_model.pb").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    if kind == "no-variables":
        for path in (version / "variables").iterdir():
            path.unlink()
    if kind == "bad-warmup":
        (version / warmup.FILE).parent.mkdir()
        (version / warmup.FILE).write_bytes(b"not a TFRecord")
    return base


KINDS = {
    "no-folder": "Use the folder that contains 1/",
    "version-mounted": "clothes instead.",
    "store-mounted": "Mount ",
    "v-name": "Rename it 1.",
    "not-a-number": "Rename it to a whole number",
    "no-version": "Publish a version",
    "twice": "Rename one of them",
    "file-for-version": "move it to another folder",
    "too-deep": "Move the contents of saved/ one folder up.",
    "no-saved-model": "model.export(folder)",
    "empty-model": "publish it again",
    "lfs-pointer": "git lfs pull",
    "no-variables": "variables.index",
    "bad-warmup": "Remove the file",
}


@pytest.mark.parametrize(("kind", "fix"), KINDS.items())
def test_each_rule(base, kind, fix):
    found = examine(change(base, kind))
    assert [item.name for item in found.findings] == [kind]
    finding = found.findings[0]
    assert fix in finding.hint
    assert finding.message.endswith(".") and finding.hint.endswith(".")
    assert f": {kind}: " in str(found) and kind in found._repr_html_()
    assert found.to_dict()["findings"][0] == finding.to_dict()


def test_every_rule_is_tried_here():
    source = "".join(Path(module.__file__).read_text(encoding="utf-8") for module in (layout, serving_config))
    named = {part.split('"')[1] for part in source.split("problem(")[1:] if part.startswith('"')} | {
        "v-name",
        "not-a-number",
    }
    tried = set(KINDS) | set(CONFIGS) | {"unreadable", "link-outside"}
    assert named == tried


def test_a_base_path_that_is_a_file(tmp_path):
    (tmp_path / "x").write_text("x")
    assert "is a file" in examine(tmp_path / "x").findings[0].message


@pytest.mark.parametrize(
    ("gone", "word"), [("variables.index", "incomplete"), ("variables.data-00000-of-00001", "incomplete")]
)
def test_half_the_variables(base, gone, word):
    (base / "1" / "variables" / gone).unlink()
    assert word in examine(base).findings[0].message


def test_no_folder_of_variables(base):
    shutil.rmtree(base / "1" / "variables")
    assert "is missing" in examine(base).findings[0].message


def test_too_many_warmup_requests(base, monkeypatch):
    monkeypatch.setattr(warmup, "MAX_RECORDS", 2)
    (base / "1" / warmup.FILE).parent.mkdir()
    (base / "1" / warmup.FILE).write_bytes(warmup.to_records([b"x"] * 2))
    assert examine(base).passed
    (base / "1" / warmup.FILE).write_bytes(warmup.to_records([b"x"] * 3))
    assert "There are 3 warm-up requests" in examine(base).findings[0].message


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize(
    ("place", "mode"),
    [
        ("1", 0o700),
        ("1/saved_model.pb", 0o600),
        ("1/variables", 0o744),
        ("1/variables/variables.index", 0o640),
        (".", 0o750),
    ],
)
def test_modes_that_shut_the_container_out(base, place, mode):
    (base / place).chmod(mode)
    found = examine(base).findings
    assert [(item.name, item.place) for item in found] == [("unreadable", str(base / place))]
    assert f"chmod -R a+rX {base}" in found[0].hint


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_links(base, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shutil.move(base / "1" / "saved_model.pb", tmp_path / "elsewhere" / "saved_model.pb")
    (base / "1" / "saved_model.pb").symlink_to(tmp_path / "elsewhere" / "saved_model.pb")
    found = examine(base).findings
    assert [item.name for item in found] == ["link-outside"] and "elsewhere" in found[0].message
    (base / "1" / "saved_model.pb").unlink()
    make_version(base / "3")
    (base / "1" / "saved_model.pb").symlink_to(Path("..", "3", "saved_model.pb"))
    assert examine(base).passed


CONFIGS = {
    "bad-config": "model_config_list {",
    "not-configured": config(name="cloths"),
    "base-path": config(base="/models/clothes/1"),
    "version-missing": config(policy="specific { versions: 1 versions: 7 }"),
    "label-unserved": config(policy="latest { num_versions: 1 }", labels=label("production", 3)),
}


@pytest.mark.parametrize(("kind", "text"), CONFIGS.items())
def test_each_rule_of_the_config(base, kind, text):
    found = examine(base, config=text).findings
    assert [item.name for item in found] == [kind]
    assert found[0].hint.endswith(".")


def test_configs_that_are_fine(base):
    make_version(base / "2")
    for policy in ("all {}", "latest { num_versions: 2 }", "specific { versions: 1 versions: 2 }"):
        assert examine(base, config=config(policy=policy, labels=label("a", 1) + label("b", 2))).passed
    assert rules(base, config=config(policy="", labels=label("a", 1))) == ["label-unserved"]
    assert examine(base, config=config(name="m", base="/models/m"), name="m").passed


def test_a_config_without_a_name(base):
    assert rules(base, config="model_config_list { config { base_path: '/models/clothes' } }") == ["bad-config"]
