"""The examples in the docstrings, run as they stand: warnings are errors, and TensorFlow cannot be imported."""

import doctest
import importlib
import pkgutil
import sys
from pathlib import Path

import pytest

import mlops_lab

# Modules that do something when they are imported: they are the programs of processes of their own.
PROGRAMS = ("__main__", "trial_child", "migrate_child", "sender")
NAMES = [
    found.name for found in pkgutil.walk_packages(mlops_lab.__path__, "mlops_lab.") if not found.name.endswith(PROGRAMS)
]


@pytest.mark.parametrize("name", NAMES)
def test_examples(name, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])
    for package in ("tensorflow", "keras"):
        monkeypatch.setitem(sys.modules, package, None)
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples in {name}; see the output above"


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    tests = [test for name in NAMES for test in finder.find(importlib.import_module(name))]
    assert sum(len(test.examples) for test in tests) > 30
