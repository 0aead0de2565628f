"""The rules of the house that a machine can hold; `docs/house.md` has them all."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mlops_lab"
FILES = sorted(PACKAGE.rglob("*.py"))

# Each row may import the rows above it, and the rooms of its own row; never one below.
ORDER = [
    {"errors"},
    {"show", "image", "findings"},
    {"predict"},
    {"data", "engines"},
    {"train", "store"},
    {"serve"},
    {"validate", "monitor", "deploy"},
    {"doctor", "demo", "pipeline", "grade", "widgets"},
    {"cli"},
    {"__main__"},
]
ROW = {room: row for row, rooms in enumerate(ORDER) for room in rooms}

# Packages that are slow to import or optional: only inside the function that needs them.
HEAVY = {"tensorflow", "keras", "sklearn", "skops", "onnx", "onnxruntime", "tf2onnx", "skl2onnx", "matplotlib", "h5py"}


def room(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path, *, top_level_only=False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_one_way(path):
    if path == PACKAGE / "__init__.py":
        return
    here = room(path)
    wrong = {
        name for name in imports(path) if name.startswith("mlops_lab.") and ROW.get(name.split(".")[1], -1) > ROW[here]
    }
    assert not wrong, f"{here} is below what it imports: {sorted(wrong)}"


def modules_imported(path, modules):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                # `from mlops_lab.store import disk` needs the room, not what the package re-exports
                longer = f"{node.module}.{alias.name}"
                yield from (name for name in [longer if longer in modules else node.module] if name in modules)


def test_there_are_no_cycles():
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES}
    graph = {name: set(modules_imported(path, modules)) - {name} for name, path in modules.items()}
    done, open_ = set(), []

    def visit(name):
        assert name not in open_, f"cycle: {' → '.join([*open_[open_.index(name) :], name])}"
        if name in done:
            return
        open_.append(name)
        for other in sorted(graph[name]):
            visit(other)
        open_.pop()
        done.add(name)

    for name in sorted(graph):
        visit(name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_heavy_packages_are_imported_where_they_are_used(path):
    heavy = {name.split(".")[0] for name in imports(path, top_level_only=True)} & HEAVY
    assert not heavy, f"import {sorted(heavy)} inside the function that needs it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_rooms_stay_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_production_names_never_look_like_tests(path):
    assert not path.stem.startswith("test") and not path.stem.endswith("_test")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    assert not [name for name in names if name.startswith(("test_", "Test"))]


def test_there_is_no_utils():
    assert not [path for path in FILES if path.stem in ("utils", "util", "helpers", "common")]


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, mlops_lab; print(sorted(set(sys.modules) & {'numpy', 'tensorflow', 'keras', 'flask', 'PIL'}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("stage", ["data", "train", "store", "serve", "validate", "pipeline", "cli", "doctor"])
def test_no_stage_imports_tensorflow(stage):
    code = f"import sys; from mlops_lab import {stage}; print('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_serving_needs_no_tensorflow():
    """Serve with TensorFlow and Keras blocked: what the container has."""
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "from mlops_lab import serve\n"
        "app = serve.create_app('models')\n"
        "client = app.test_client()\n"
        "print(client.get('/readyz').status_code, client.get('/models/clothes/v1').json['number_of_parameters'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "200 133280\n"


def test_a_function_never_bears_its_modules_name():
    for path in FILES:
        module = path.parent.name if path.stem == "__init__" else path.stem
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and module != "image"}
        assert module not in names, f"{path} has a function of its own name"
