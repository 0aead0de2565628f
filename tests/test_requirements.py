"""What the locks hold: a student's install is the part of the lab's that the course needs."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def locked(name):
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return {package.lower(): version for package, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)}


def names(requirements):
    return {re.match(r"[\w.-]+", requirement)[0].lower() for requirement in requirements}


def test_a_student_installs_what_the_package_needs_in_the_versions_of_the_lab():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    student, lab = locked("student.txt"), locked("lab.txt")
    extras = project["optional-dependencies"]
    assert names([*project["dependencies"], *extras["draw"], *extras["grpc"]]) <= set(student)
    assert student.items() <= lab.items()


def test_a_student_installs_no_tools_of_developers_no_docker_and_no_ray():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    tools = names([*extras["dev"], *extras["browser"], *extras["docs"], *extras["ray"]]) - names(extras["grpc"])
    brought = {"jsonschema", "nbclient", "nbformat", "pyyaml"}  # JupyterLab needs them
    assert not (tools - brought) & set(locked("student.txt"))
    assert "docker" not in locked("student.txt")
