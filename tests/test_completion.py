"""What Tab offers after a stage's name: its public names, and not the files that they are defined in."""

import importlib

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("jedi", [True, False])
@pytest.mark.parametrize("stage", ["client", "doctor", "widgets"])
def test_completion_offers_the_public_names_only(stage, jedi):
    module = importlib.import_module(f"mlops_lab.{stage}")
    shell = InteractiveShell()
    shell.push({stage: module})
    shell.Completer.use_jedi = jedi
    with provisionalcompleter():
        found = {item.text.removeprefix(".") for item in shell.Completer.completions(f"{stage}.", len(stage) + 1)}
    offered = {name for name in found if not name.startswith("_")}
    assert offered == set(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)
