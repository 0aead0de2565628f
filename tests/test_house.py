"""The rules of the house that a machine can hold; `docs/house.md` has them all.

One test holds one rule for every file of the package, and its failure lists every offender.
"""

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from import_graph import import_graph, longest_chain  # noqa: E402

PACKAGE = ROOT / "mlops_lab"
FILES = sorted(PACKAGE.rglob("*.py"))
SERVE_FILES = sorted((PACKAGE / "serve").rglob("*.py"))

# Each row may import the rows above it, and the packages of its own row; never one below.
ORDER = [
    {"errors", "deprecation", "provenance", "strict_json"},
    {"show", "files", "inputs", "findings", "filetype", "image_metadata"},
    {"image_cost"},
    {"image", "signature"},
    {"tensors"},
    {"answers"},
    {"predict"},
    {"data", "engines"},
    {"summary"},
    {"train", "store"},
    {"client"},
    {"serve"},
    {"batch", "validate", "monitor", "deploy"},
    {"doctor", "demo", "pipeline", "grade", "widgets", "course"},
    {"cli"},
    {"__main__"},
]
ROW = {package: row for row, packages in enumerate(ORDER) for package in packages}
# The same inside serve.
SERVE_ORDER = [
    {"core", "ports"},
    {"codecs", "observability"},
    {"rest"},
    {"chains"},
    {"state"},
    {"grpc_server", "http", "openapi", "pages"},
    {"app", "asgi"},
    {"background", "command"},
    {"workers"},
]
SERVE_ROW = {package: row for row, packages in enumerate(SERVE_ORDER) for package in packages}

# Packages that are slow to import or optional: only inside the function that needs them.
HEAVY = {"tensorflow", "keras", "sklearn", "skops", "onnx", "onnxruntime", "tf2onnx", "skl2onnx", "matplotlib", "h5py"}
STAGES = ("data", "train", "store", "serve", "validate", "pipeline", "cli", "doctor")
MOST_LINES = 400
DEEPEST = 20
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


graph_of = cache(import_graph)


@cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def short(path):
    return path.relative_to(PACKAGE).as_posix()


def package(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path, *, top_level_only=False):
    nodes = parsed(path).body if top_level_only else ast.walk(parsed(path))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_package_has_its_place():
    unknown = {package(path) for path in FILES} - ROW.keys() - {"__init__"}
    assert not unknown, f"say in ORDER which packages {sorted(unknown)} may import"


def test_imports_go_one_way():
    wrong = [
        f"{short(path)} imports {name}"
        for path in FILES
        if package(path) != "__init__"
        for name in imports(path)
        if name.startswith("mlops_lab.") and ROW.get(name.split(".")[1], -1) > ROW.get(package(path), len(ORDER))
    ]
    assert not wrong, "\n".join(["imports of what is below:", *wrong])


def test_imports_inside_serve_go_one_way():
    packages = {path: path.relative_to(PACKAGE / "serve").parts[0].removesuffix(".py") for path in SERVE_FILES}
    unknown = set(packages.values()) - SERVE_ROW.keys() - {"__init__"}
    assert not unknown, f"say in SERVE_ORDER what {sorted(unknown)} may import"
    wrong = [
        f"{short(path)} imports {name}"
        for path, own in packages.items()
        if own != "__init__"
        for name in imports(path)
        if name.startswith("mlops_lab.serve.") and SERVE_ROW.get(name.split(".")[2], -1) > SERVE_ROW[own]
    ]
    assert not wrong, "\n".join(["imports of what is below:", *wrong])


def test_there_are_no_cycles():
    try:
        TopologicalSorter(graph_of(PACKAGE)).prepare()
    except CycleError as error:
        pytest.fail(f"cycle: {' → '.join(error.args[1])}")


def test_imports_are_not_deep():
    chain = longest_chain(graph_of(PACKAGE))
    assert len(chain) <= DEEPEST, " → ".join(chain)


def test_heavy_packages_are_imported_where_they_are_used():
    heavy = [
        f"{short(path)} imports {name}"
        for path in FILES
        for name in imports(path, top_level_only=True)
        if name.split(".")[0] in HEAVY
    ]
    assert not heavy, "\n".join(["import these inside the function that needs them:", *heavy])


def test_files_stay_small():
    lines = {short(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    large = {name: count for name, count in lines.items() if count > MOST_LINES}
    assert not large, f"more than {MOST_LINES} lines: {large}"


def test_production_names_never_look_like_tests():
    wrong = [short(path) for path in FILES if path.stem.startswith("test") or path.stem.endswith("_test")]
    wrong += [
        f"{short(path)}: {node.name}"
        for path in FILES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef | FUNCTION) and node.name.startswith(("test_", "Test"))
    ]
    assert not wrong, wrong


def test_there_is_no_utils():
    assert not [short(path) for path in FILES if path.stem in ("utils", "util", "helpers", "common")]


def test_a_function_never_has_the_name_of_its_module():
    wrong = []
    for path in FILES:
        module = path.parent.name if path.stem == "__init__" else path.stem
        names = {node.name for node in parsed(path).body if isinstance(node, FUNCTION) and module != "image"}
        wrong += [short(path)] if module in names else []
    assert not wrong, f"a function has its module's name in {wrong}"


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, mlops_lab; print(sorted(set(sys.modules) & {'numpy', 'tensorflow', 'keras', 'flask', 'PIL'}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_server_loads_no_client():
    """The client's ``requests`` takes 16 MB and a sixth of a server's start."""
    code = (
        "import sys, mlops_lab.serve.command; print(sorted(set(sys.modules) & {'requests', 'grpc', 'onnx', 'IPython'}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_no_stage_imports_tensorflow():
    """Import one stage after the other, and say after which one TensorFlow or Keras was there."""
    code = (
        "import importlib, sys\n"
        f"for stage in {STAGES}:\n"
        "    importlib.import_module(f'mlops_lab.{stage}')\n"
        "    assert not {'tensorflow', 'keras'} & set(sys.modules), stage\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


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
