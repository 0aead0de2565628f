"""Make the table of what each Keras version accepts, by asking the classes themselves.

Add the next release to ``VERSIONS`` in ``keras_versions.py`` and run ``python tools/keras_keys.py``. Each version is
asked twice in a process of its own: first for sample configurations of every class (one with as few arguments as it
takes, and one for each other value of each argument), then, for every key that any version writes, whether its own
classes take that key, by the very function that reads a saved file.
The result, ``mlops_lab/store/compat/keras_keys.json``, is what ``store.check`` compares a file with.
"""

from __future__ import annotations

import copy
import inspect
import json
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parent.parent / "mlops_lab" / "store" / "compat" / "keras_keys.json"
KINDS = ("layers", "initializers", "regularizers", "constraints", "losses", "metrics", "optimizers")
OPS = ("numpy", "core", "nn", "math", "image", "linalg", "einops")
FUNCTIONS = ("activations", "losses", "metrics")
POLICY = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}

MODULES = ("keras.src.engine.functional", "keras.src.models.functional", "keras")
SHAPES = ("batch_shape", "batch_input_shape", "input_shape", "shape")  # what they say is never a default

# A value for each argument that has no default, so that one of every class can be made.
ARGUMENTS: dict[str, Any] = {
    "units": 2, "filters": 2, "kernel_size": 1, "input_dim": 4, "output_dim": 2, "num_heads": 2, "key_dim": 2,
    "head_dim": 4, "num_query_heads": 2, "num_key_value_heads": 2, "rate": 0.1, "stddev": 0.1, "dims": [1],
    "target_shape": [1], "n": 2, "cropping": 1, "padding": 1, "height": 4, "width": 4, "factor": 0.1, "scale": 0.5,
    "num_tokens": 4, "num_bins": 3, "bin_boundaries": [0.0, 1.0], "equation": "ab,bc->ac", "output_shape": [None, 2],
    "initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9, "boundaries": [1], "values": [0.1, 0.2],
    "first_decay_steps": 10, "num_classes": 2, "sensitivity": 0.5, "specificity": 0.5, "precision": 0.5, "recall": 0.5,
    "name": "sample", "target_class_ids": [0], "size": 2, "value_range": [0, 1], "num_mel_bins": 8, "l2": 0.01,
    "l1": 0.01, "max_value": 2, "pool_size": 1, "activation": "relu", "axes": 1, "height_factor": 0.1, "output_size": 1,
    "width_factor": 0.1, "max_number": 2, "normalizer": [1.0],
    "dtype": None, "epsilon": 0.1, "seed": 1, "shape": [2], "ratio": 2, "learning_rate": 0.1,
}  # fmt: skip
# Other values for arguments, beside those that the type of the default suggests: what a class writes only then.
VARIANTS: dict[str, tuple[Any, ...]] = {
    "activation": ("relu",), "activity_regularizer": ("l2",), "axis": (1, [1, 2]), "batch_size": (3,),
    "batch_shape": ([3, 2],), "class_id": (1,), "clipnorm": (1.0,), "curve": ("PR",),
    "data_format": ("channels_first",),
    "dtype": ("float16", "bfloat16", "float64", "int32", "int64", "string", "mixed_float16"),
    "ema_overwrite_frequency": (5,), "from_logits": (True,), "global_clipnorm": (1.0,),
    "gradient_accumulation_steps": (2,),
    "ignore_class": (1,), "initializer": ("ones",), "kernel_regularizer": ("l2",), "label_smoothing": (0.1,),
    "lora_rank": (2,), "lora_alpha": (4,), "loss_scale_factor": (2.0,), "mask_value": ("x", 0), "merge_mode": ("sum",),
    "noise_shape": ([1],), "output_mode": ("one_hot", "multi_hot", "count"), "reduction": ("sum", "none"),
    "salt": (3, [3, 4]), "seed": (7,), "shared_axes": ([1],), "sparse": (True,), "thresholds": (0.5, [0.2, 0.8]),
    "top_k": (3,), "use_bias": (False,), "weight_decay": (0.01,), "weights": ([1.0, 1.0],), "input_shape": ([2],),
}  # fmt: skip
GENERIC = (1, 0.5, "relu", [1])  # for an argument whose default is None
# Methods that change a layer after it was built, and what it then writes.
METHODS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("enable_lora", (2,)), ("quantize", ("int8",)), ("quantize", ("int4",)), ("quantize", ("float8",)),
)  # fmt: skip
BUILDS = {
    "Dense": (None, 4),
    "Embedding": (None, 4),
    "EinsumDense": (None, 4),
    "Conv1D": (None, 4, 2),
    "Conv2D": (None, 4, 4, 2),
}
EXTRA = {
    "layers": {"batch_input_shape": [None, 2], "input_shape": [2], "dtype": POLICY, "input_length": None},
    "optimizers": {"is_legacy_optimizer": False, "jit_compile": False, "decay": 0.0},
}
# Types of numbers as TensorFlow 2.4 and 2.15 write them.
OLD_POLICIES = [
    {"class_name": "Policy", "config": {"name": "mixed_float16"}},
    {"class_name": "PolicyV1", "config": {"name": "mixed_float16", "loss_scale": "dynamic"}},
    {
        "module": "keras.mixed_precision",
        "class_name": "Policy",
        "config": {"name": "mixed_float16"},
        "registered_name": None,
    },
]


def _keras() -> Any:
    import warnings

    warnings.filterwarnings("ignore")
    import keras

    return keras


NAMED = ("initializers", "regularizers", "constraints")  # these are looked up by name alone, in a list


def _namespaces(keras: Any) -> dict[str, Any]:
    return {**{kind: getattr(keras, kind) for kind in KINDS}, "schedules": keras.optimizers.schedules}


def _classes(keras: Any) -> dict[str, type]:
    """Return every class that a file may name, by ``kind.Name``."""
    found = {f"{k}.{n}": c for k, s in _namespaces(keras).items() for n, c in inspect.getmembers(s, inspect.isclass)}
    if keras.__version__.startswith("2."):
        return found
    import importlib

    from keras.src.ops.operation import Operation

    for name in OPS:  # what a graph holds where tensors are added, compared, reshaped …
        try:
            module = importlib.import_module(f"keras.src.ops.{name}")
        except ModuleNotFoundError:
            continue
        for label, cls in inspect.getmembers(module, inspect.isclass):
            if issubclass(cls, Operation) and cls.__module__ == module.__name__:
                found[f"ops.{name}.{label}"] = cls
    return found


def _arguments(keras: Any, cls: type) -> dict[str, Any]:
    """Return as few arguments as a class takes."""
    arguments = dict(_special(keras).get(cls.__name__, {}))
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        required = parameter.default is inspect.Parameter.empty
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if required and named and name != "self" and name not in arguments:
            arguments[name] = ARGUMENTS[name]
    return arguments


def _written(made: Any) -> dict[str, Any]:
    """Return the configuration of an object as it stands in a file, where tuples are lists."""
    return dict(json.loads(json.dumps(made.get_config(), default=_plain)))


def _more(keras: Any, cls: type, arguments: dict[str, Any], sample: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the keys, and the types of numbers, that objects of a class write only off their defaults."""
    found: dict[str, list[Any]] = {}
    for change in _changes(cls):
        _note(found, sample, lambda change=change: cls(**{**arguments, **change}))
    for method, given in METHODS if cls.__name__ in BUILDS and hasattr(cls, "enable_lora") else ():
        _note(found, sample, lambda method=method, given=given: _called(cls(**arguments), method, given))
    return found


def _changes(cls: type) -> list[dict[str, Any]]:
    """Return one change of the arguments for each value to try, where the class takes the argument."""
    changes = []
    for name in _signature(cls):
        default = _default(cls, name)
        values: tuple[Any, ...] = VARIANTS.get(name, ())
        if isinstance(default, bool):
            values = (*values, not default)
        elif isinstance(default, float):
            values = (*values, default / 2 or 0.5)
        elif isinstance(default, int):
            values = (*values, default + 1)
        elif default is None and not values:
            values = GENERIC
        changes += [{name: value} for value in values]
    return changes


def _default(cls: type, name: str) -> Any:
    for parent in cls.__mro__:
        if "__init__" in vars(parent) and parent is not object:
            parameters = inspect.signature(vars(parent)["__init__"]).parameters
            if name in parameters:
                return parameters[name].default
    return None


def _called(layer: Any, method: str, given: tuple[Any, ...]) -> Any:
    layer.build(BUILDS[type(layer).__name__])
    getattr(layer, method)(*given)
    return layer


def _note(found: dict[str, list[Any]], sample: dict[str, Any], make: Any) -> None:
    """Note the keys of one more object that the sample does not have, and its type of numbers."""
    try:
        config = _written(make())
    except Exception:  # a value that the class does not take
        return
    for key, value in config.items():
        if (key not in sample or key == "dtype") and value not in found.setdefault(key, []):
            found[key].append(value)


def _special(keras: Any) -> dict[str, dict[str, Any]]:
    """Return arguments for the classes whose arguments are other Keras objects."""
    k = keras.layers
    return {
        "RNN": {"cell": k.LSTMCell(2)},
        "StackedRNNCells": {"cells": [k.LSTMCell(2)]},
        "Bidirectional": {"layer": k.LSTM(2)},
        "TimeDistributed": {"layer": k.Dense(2)},
        "SpectralNormalization": {"layer": k.Dense(2)},
        "InputLayer": {"input_shape": (2,)} if keras.__version__.startswith("2.") else {"shape": (2,)},
        "MeanMetricWrapper": {"fn": keras.losses.mean_squared_error},
        "LossScaleOptimizer": {"inner_optimizer": keras.optimizers.SGD()},
        "Reshape": {"target_shape": (1,)},
        "Permute": {"dims": (1,)},
        "Pipeline": {"layers": [k.Dense(2)]},
        "CategoryEncoding": {"num_tokens": 4},
        "Discretization": {"bin_boundaries": [0.0, 1.0]},
        "RandomPosterization": {"factor": 4},
        "Optimizer": {"learning_rate": 0.1, "name": "sample"},
    }


def _plain(value: Any) -> Any:
    if hasattr(value, "get_config"):
        import keras

        return keras.saving.serialize_keras_object(value)
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _samples(*, more: bool = False) -> dict[str, Any]:
    """Return every public class by ``kind.Name`` with sample configurations, and the names of functions."""
    keras = _keras()
    classes: dict[str, Any] = {}
    for identity, cls in _classes(keras).items():
        try:
            arguments = _arguments(keras, cls)
            config = _written(cls(**arguments))
            classes[identity] = {"config": config, "more": _more(keras, cls, arguments, config) if more else {}}
        except Exception as error:
            classes[identity] = {"why": f"{type(error).__name__}: {str(error)[:120]}"}
        classes[identity]["signature"] = _signature(cls)
    functions = {k: [n for n, _ in inspect.getmembers(getattr(keras, k), inspect.isfunction)] for k in FUNCTIONS}
    plumbing = {"get", "serialize", "deserialize"}
    functions = {kind: [n for n in names if n not in plumbing] for kind, names in functions.items()}
    return {"classes": classes, "functions": functions}


def _signature(cls: type) -> list[str]:
    """Return the names of arguments that a class and, as long as they pass others on, its parents take."""
    names: list[str] = []
    for parent in cls.__mro__:
        if "__init__" in vars(parent) and parent is not object:
            parameters = inspect.signature(vars(parent)["__init__"]).parameters.values()
            kinds = [p.kind for p in parameters]
            names += [
                p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name != "self"
            ]
            if inspect.Parameter.VAR_KEYWORD not in kinds:
                break
    return sorted(set(names))


def _probe(candidates: dict[str, Any]) -> dict[str, Any]:
    """Return, for each class of this version, which of the candidate keys and values it takes."""
    keras = _keras()
    mine = _samples()
    answers: dict[str, Any] = {}
    for identity, found in mine["classes"].items():
        config = found.get("config")
        if config is None or _refusal(keras, identity, config):
            resolves = identity.split(".")[0] not in NAMED or "nterpret" not in _refusal(keras, identity, config or {})
            answers[identity] = {"resolves": resolves, "takes": found["signature"], "refuses": {}, "asked": False}
            continue
        takes, refuses = list(config), {}
        for key, values in _tried(candidates, identity).items():
            wrong = [v for v in values if _refusal(keras, identity, {**config, key: v})]
            if key not in config and len(wrong) < len(values):
                takes.append(key)
            if wrong and key in takes:
                refuses[key] = wrong
        needs = [k for k in config if _refusal(keras, identity, {key: v for key, v in config.items() if key != k})]
        answers[identity] = {"resolves": True, "takes": takes, "refuses": refuses, "needs": needs, "asked": True}
    functions = {kind: [n for n in names if _finds(keras, kind, n)] for kind, names in candidates["functions"].items()}
    for kind in ("losses", "metrics"):
        names = candidates["functions"][kind]
        functions[f"{kind} in .h5"] = [n for n in names if _finds(keras, kind, n, "deserialize")]
    return {"classes": answers, "functions": functions, "forgets": _forgets(keras), "structure": _structure(keras)}


def _tried(candidates: dict[str, Any], identity: str) -> dict[str, list[Any]]:
    """Return the keys to try on a class, each with its defaults and the other values that some version writes."""
    defaults, more = (candidates[part].get(identity, {}) for part in ("keys", "more"))
    tried = {key: list(defaults.get(key, [])) for key in {**defaults, **more}}
    for key, values in more.items():
        tried[key] += [value for value in values if value not in tried[key]]
    return tried


def _files(keras: Any) -> list[str]:
    """Return which kinds of files this version reads under which names: ``file.<content>.<suffix>``."""
    import tempfile
    import zipfile

    read = []
    with tempfile.TemporaryDirectory() as folder:
        model = keras.Sequential([keras.layers.Dense(2, input_shape=(2,))])
        for content, suffix in (("zip", ".keras"), ("h5", ".h5")):
            model.save(f"{folder}/model{suffix}")
            data = Path(f"{folder}/model{suffix}").read_bytes()
            for name in (".keras", ".h5", ".hdf5", ".other", ""):
                Path(f"{folder}/copy{name}").write_bytes(data)
                if _loads(keras, f"{folder}/copy{name}"):
                    read.append(f"file.{content}.{name.lstrip('.') or 'none'}")
        with zipfile.ZipFile(f"{folder}/model.keras") as archive:
            archive.extractall(f"{folder}/unzipped")
        if _loads(keras, f"{folder}/unzipped"):
            read.append("file.folder.none")
    return read


def _loads(keras: Any, path: str) -> bool:
    try:
        keras.models.load_model(path)
    except Exception:
        return False
    return True


def _structure(keras: Any) -> list[str]:
    """Return which ways to write a functional model this version reads, by ``kind of place.what stands there``."""
    inputs = keras.Input((2,), name="a")
    model = keras.Model(inputs, keras.layers.ReLU(name="b")(inputs))
    whole = json.loads(json.dumps(keras.saving.serialize_keras_object(model), default=str))
    flat = {"input_layers": ["a", 0, 0], "output_layers": ["b", 0, 0]}
    nested = {key: [value] for key, value in flat.items()}
    node = {"class_name": "__keras_tensor__", "config": {"shape": [None, 2], "dtype": "float32"}}
    node["config"]["keras_history"] = ["a", 0, 0]
    old_node, new_node = [[["a", 0, 0, {}]]], [{"args": [node], "kwargs": {}}]
    ways = {"ends.flat": flat, "ends.nested": nested, "nodes.lists": old_node, "nodes.tensors": new_node}
    ways |= {f"module.{name}": name for name in MODULES}
    return [*(way for way, value in ways.items() if _reads(keras, whole, value)), *_files(keras)]


def _reads(keras: Any, whole: dict[str, Any], value: Any) -> bool:
    changed = copy.deepcopy(whole)
    if isinstance(value, str):
        changed["module"] = value
    elif isinstance(value, dict):
        changed["config"] |= value
    else:
        changed["config"]["layers"][1]["inbound_nodes"] = value
    try:
        return bool(keras.saving.deserialize_keras_object(changed).outputs)
    except Exception:
        return False


def _refusal(keras: Any, identity: str, config: dict[str, Any]) -> str:
    """Return what this version says to an object of a file, or nothing when it takes it."""
    kind, name = identity.split(".")[0], identity.rsplit(".", 1)[1]
    module = {"schedules": "keras.optimizers.schedules", "ops": f"keras.src.{identity.rpartition('.')[0]}"}.get(kind)
    whole = {"module": module or f"keras.{kind}", "class_name": name, "config": copy.deepcopy(config)}
    whole["registered_name"] = name if kind == "ops" else None
    reader = getattr(keras, kind).get if kind in NAMED else keras.saving.deserialize_keras_object
    try:
        return "not interpreted" if isinstance(reader(whole), (str, dict)) else ""
    except Exception as error:
        return str(error) or type(error).__name__


def _forgets(keras: Any) -> list[str]:
    """Return the wrappers that this version cannot read back from the file that it writes itself."""
    import tempfile

    k, lost = keras.layers, []
    makers = {
        "Bidirectional": lambda: k.Bidirectional(k.LSTM(2)),
        "TimeDistributed": lambda: k.TimeDistributed(k.Dense(2)),
        "RNN": lambda: k.RNN(k.LSTMCell(2)),
        "StackedRNNCells": lambda: k.RNN([k.LSTMCell(2), k.LSTMCell(2)]),
        "SpectralNormalization": lambda: k.SpectralNormalization(k.Dense(2)),
        "MultiHeadAttention": lambda: k.MultiHeadAttention(2, 2),
    }
    for name, make in makers.items():
        if not hasattr(k, name):
            continue
        with tempfile.TemporaryDirectory() as folder:
            inputs = keras.Input((3, 4))
            layer = make()
            outputs = layer(inputs, inputs) if name == "MultiHeadAttention" else layer(inputs)
            keras.Model(inputs, outputs).save(f"{folder}/one.keras")
            try:
                keras.models.load_model(f"{folder}/one.keras")
            except Exception:
                lost.append(f"layers.{name}")
    return lost


def _finds(keras: Any, kind: str, name: str, reader: str = "get") -> bool:
    try:
        return callable(getattr(getattr(keras, kind), reader)(name))
    except Exception:
        return False


def _candidates(samples: dict[str, Any]) -> dict[str, Any]:
    """Return every key that any version writes, with the values that they write by default."""
    keys: dict[str, dict[str, list[Any]]] = {}
    more: dict[str, dict[str, list[Any]]] = {}
    functions: dict[str, set[str]] = {kind: set() for kind in FUNCTIONS}
    for found in samples.values():
        for identity, sample in found["classes"].items():
            known = keys.setdefault(identity, {})
            for key, value in [*sample.get("config", {}).items(), *EXTRA.get(identity.split(".")[0], {}).items()]:
                values = known.setdefault(key, [])
                if value not in values and key != "name":
                    values.append(value)
            old = {"dtype": OLD_POLICIES} if identity.startswith("layers.") else {}
            for key, others in [*sample.get("more", {}).items(), *old.items()]:
                values = more.setdefault(identity, {}).setdefault(key, [])
                values += [value for value in others if value not in values]
        for kind, names in found["functions"].items():
            functions[kind].update(names)
    for kind in ("losses", "metrics"):  # classes are named like functions, too
        classes = [identity.partition(".")[2] for identity in keys if identity.startswith(f"{kind}.")]
        functions[kind].update(classes, map(_snake_case, classes))
    return {"keys": keys, "more": more, "functions": {kind: sorted(names) for kind, names in functions.items()}}


def _snake_case(name: str) -> str:
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


def _spans(versions: list[str], within: set[str]) -> str:
    """Return versions as spans of the tabulated ones: ``3.4.1..3.12.4 3.14.1..``; an open end is the newest."""
    spans: list[list[str]] = []
    for index, version in enumerate(versions):
        if version in within:
            if spans and versions[index - 1] == spans[-1][1]:
                spans[-1][1] = version
            else:
                spans.append([version, version])
    return " ".join(f"{a}..{'' if b == versions[-1] else b}" for a, b in spans)


def _table(versions: list[str], samples: dict[str, Any], probes: dict[str, Any]) -> dict[str, Any]:
    candidates = _candidates(samples)
    classes: dict[str, Any] = {}
    for identity in sorted(candidates["keys"]):
        where = {v for v in versions if probes[v]["classes"].get(identity, {}).get("resolves")}
        if where:
            classes[identity] = _entry(identity, versions, where, candidates, probes)
    functions = {
        kind: {
            n: _spans(versions, {v for v in versions if n in probes[v]["functions"][kind]})
            for n in candidates["functions"][kind.split()[0]]
        }
        for kind in probes[versions[-1]]["functions"]
    }
    functions = {kind: {n: s for n, s in found.items() if s} for kind, found in functions.items()}
    forgets = {v: probes[v]["forgets"] for v in versions if probes[v]["forgets"]}
    ways = sorted(set().union(*(probes[v]["structure"] for v in versions)))
    structure = {way: _spans(versions, {v for v in versions if way in probes[v]["structure"]}) for way in ways}
    return {
        "versions": versions, "forgets": forgets, "structure": structure, "functions": functions,
        "policies": _policies(versions, candidates, probes), "classes": classes,
    }  # fmt: skip


def _policies(versions: list[str], candidates: dict[str, Any], probes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the types of numbers that ``Dense`` takes, as objects, each with the versions that take it."""
    found = []
    for value in _tried(candidates, "layers.Dense")["dtype"]:
        taking = {v for v in versions if value not in _refused(probes[v], "layers.Dense")}
        if isinstance(value, dict):
            found.append({"value": value, "in": _spans(versions, taking)})
    return found


def _refused(probe: dict[str, Any], identity: str) -> list[Any]:
    return list(probe["classes"][identity]["refuses"].get("dtype", []))


def _entry(
    identity: str, versions: list[str], where: set[str], candidates: dict[str, Any], probes: dict[str, Any]
) -> dict[str, Any]:
    keys = candidates["keys"][identity]
    answers = {v: probes[v]["classes"][identity] for v in where}
    always, changed, values = [], {}, {}
    for key in sorted(set().union(*(a["takes"] for a in answers.values()))):
        taken = {v for v in where if key in answers[v]["takes"]}
        if taken == where:
            always.append(key)
        else:
            defaults = [] if key in SHAPES else [v for v in keys.get(key, []) if not isinstance(v, dict)]
            changed[key] = {"in": _spans(versions, taken), "defaults": defaults}
        for value in _tried(candidates, identity).get(key, []) if key == "dtype" else keys.get(key, []):
            refusing = {v for v in taken if value in answers[v]["refuses"].get(key, [])}
            if isinstance(value, dict):  # what no layer of that version takes stands under "policies"
                refusing = {v for v in refusing if value not in _refused(probes[v], "layers.Dense")}
            if refusing and (key == "dtype" or not isinstance(value, (dict, list))):
                values.setdefault(key, []).append({"value": value, "in": _spans(versions, taken - refusing)})
    entry: dict[str, Any] = {"in": _spans(versions, where), "keys": " ".join(always)}
    entry |= {"changed": changed} if changed else {}
    entry |= {"values": values} if values else {}
    needs = {key for answer in answers.values() for key in answer.get("needs", [])}
    needs = {key: _spans(versions, {v for v in where if key in answers[v].get("needs", [])}) for key in sorted(needs)}
    entry |= {"needs": needs} if needs else {}
    return entry if all(a["asked"] for a in answers.values()) else {**entry, "by": "signature"}


def _ask(version: str, command: str, argument: str = "") -> dict[str, Any]:
    import keras_versions

    return dict(json.loads(keras_versions.run(version, Path(__file__).resolve(), command, argument)))


def _ask_all(versions: list[str], command: str, argument: str = "") -> dict[str, dict[str, Any]]:
    """Return the answer of each version; two are asked at a time."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(versions, pool.map(lambda version: _ask(version, command, argument), versions), strict=True))


def main(arguments: list[str]) -> None:
    """Write the table, or answer for the Keras that runs this (``sample-here``, ``probe-here FILE``)."""
    if arguments:
        out = os.dup(1)
        os.dup2(2, 1)
        answer = (
            _samples(more=True) if arguments[0] == "sample-here" else _probe(json.loads(Path(arguments[1]).read_text()))
        )
        os.write(out, b"")
        with os.fdopen(out, "w") as stream:
            json.dump(answer, stream)
        return
    import tempfile

    from keras_versions import VERSIONS

    samples = _ask_all(VERSIONS, "sample-here")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(_candidates(samples), file)
        file.flush()
        probes = _ask_all(VERSIONS, "probe-here", file.name)
    _write(_table(VERSIONS, samples, probes))
    for version in VERSIONS:
        why = {i: f["why"] for i, f in samples[version]["classes"].items() if "why" in f}
        print(version, len(samples[version]["classes"]), "classes,", len(why), "by signature only")


def _write(table: dict[str, Any]) -> None:
    lines = [f" {json.dumps(k)}: {json.dumps(v)}" for k, v in table["classes"].items()]
    rest = {k: v for k, v in table.items() if k != "classes"}
    TABLE.write_text(json.dumps(rest, indent=1)[:-2] + ',\n "classes": {\n' + ",\n".join(lines) + "\n }\n}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
