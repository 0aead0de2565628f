from importlib import metadata

import pytest

from mlops_lab.deploy import packages
from mlops_lab.errors import WrongUsage


def pin(name):
    return f"{name}=={metadata.version(name)}\n"


def test_the_standard_library_and_the_lock_are_left_out():
    assert packages.lock({"json", "os", "flask", "requests"}, "flask==3\nrequests==2 \\\n    --hash=sha256:0\n") == ""


def test_a_package_is_pinned_by_the_name_that_it_is_installed_under():
    assert packages.lock({"yaml"}, "") == pin("pyyaml")


def test_dependencies_are_pinned_too_unless_the_lock_has_them():
    text = packages.lock({"requests"}, "idna==3\n")
    assert pin("requests") in text and pin("certifi") in text and pin("urllib3") in text
    assert "idna" not in text and text == "".join(sorted(text.splitlines(keepends=True)))


def test_a_module_that_is_not_installed_is_named():
    with pytest.raises(WrongUsage, match="imports 'nowhere_installed'") as caught:
        packages.lock({"nowhere_installed"}, "")
    assert "requirements.txt" in caught.value.hint


def test_a_module_that_the_lock_holds_need_not_be_installed():
    assert packages.lock({"Nowhere_Installed"}, "nowhere-installed==1") == ""


def test_extras_and_other_systems_are_no_dependencies():
    text = packages.lock({"click"}, "")
    assert text == pin("click")  # colorama is for Windows


def test_own_requirements(tmp_path):
    assert packages.own_requirements(tmp_path / "api.py") is None
    (tmp_path / "requirements.txt").write_text("pandas==2.0")
    assert packages.own_requirements(tmp_path / "api.py") == "pandas==2.0\n"
    (tmp_path / "requirements.txt").write_bytes(b"\xff")
    with pytest.raises(WrongUsage, match="cannot be read"):
        packages.own_requirements(tmp_path / "api.py")
