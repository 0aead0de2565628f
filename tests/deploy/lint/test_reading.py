import pytest

from mlops_lab.deploy.lint.reading import read, texts
from mlops_lab.errors import StoreError

SERVICE = "kind: Service\nmetadata: {name: a}\n"


def names(files):
    return [item.name for item in read(files).objects]


def test_documents_and_lists_are_separate_objects():
    assert names({"a.yaml": f"{SERVICE}---\n{SERVICE.replace('a}', 'b}')}---\n"}) == ["a", "b"]
    assert names({"a.yml": "kind: List\nitems: [{kind: Service, metadata: {name: c}}, 5]"}) == ["c"]


def test_only_yaml_is_read():
    found = read({"README.md": SERVICE, "a.json": SERVICE})
    assert not found.objects and found.paths == {"README.md", "a.json"}


@pytest.mark.parametrize("text", ["kind: [", "a: 1", "5", "[a, b]", "kind: 5"])
def test_a_file_that_is_no_object_has_a_reason(text):
    assert read({"a.yaml": text}).broken["a.yaml"]


def test_a_kustomization_generates_config_maps_with_their_keys():
    text = "configMapGenerator: [{name: s, literals: [LEVEL=info], files: [conf/a.ini, b.ini=c.ini]}]"
    found = read({"kustomization.yaml": text})
    assert [item.kind for item in found.kustomizations] == ["Kustomization"]
    (config,) = found.objects
    assert (config.name, set(config.body["data"])) == ("s", {"LEVEL", "a.ini", "b.ini"})


def test_a_patch_is_no_object():
    patches = "patches: [{path: ../patch.yaml}]\npatchesStrategicMerge: [more.yaml, 5]"
    files = {"a/kustomization.yaml": patches, "patch.yaml": SERVICE, "a/more.yaml": SERVICE, "a/service.yaml": SERVICE}
    assert [item.path for item in read(files).objects] == ["a/service.yaml"]


def test_a_folder(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "a.yaml").write_text(SERVICE)
    (tmp_path / "README.md").write_text("")
    assert texts(tmp_path) == {"base/a.yaml": SERVICE}
    (tmp_path / "b.yml").write_bytes(b"\xff")
    with pytest.raises(StoreError, match="cannot be read"):
        texts(tmp_path)
