"""The corpus of store-1 to store-6."""

from __future__ import annotations

from corpus_types import Answers, Wrong, edited, solution

WOULD_LOAD = solution("store-3")
CALLS = solution("store-4", "from pathlib import Path\n")
PARAMETERS = solution("store-5", "import zipfile\n")
PUBLISH = solution("store-6", "import json\nimport tempfile\nfrom pathlib import Path\n")
SAVE = solution("store-1", "import zipfile\n")
RELOAD = solution("store-2")

LOADS = "def would_load(wrote, runs):\n    "
SAYS = ", '' if loads else 'the versions differ'\n"
BUILDING = '    building = Path(tempfile.mkdtemp(prefix=".building-", dir=store))\n'
RENAME = "    os.rename(building, store / str(version))\n"
REFUSES = '        raise FileExistsError(f"version {version} is there")\n'
GLOBAL_ONLY = edited(CALLS, ('opcode.name == "STACK_GLOBAL"', 'opcode.name == "NOTHING"'))
LAST_TWO = edited(CALLS, ("stack.append(memo[argument] if argument < len(memo) else None)", "pass"))

SAVES = "    model.save(path)\n"
ASKS = "rows = model.predict(inputs, batch_size=500, verbose=0)\n"
LOADS_MODEL = "model = keras.saving.load_model(sys.argv[1])\n"


def program(*pairs: tuple[str, str]) -> dict[str, str | bytes]:
    return {"reload.py": edited(RELOAD, *pairs)}


CORPUS = {
    "store-1": Answers(
        right=[SAVE],
        wrong=[
            Wrong(edited(SAVE, (SAVES, "    model.save_weights(path.replace('.keras', '.weights.h5'))\n")), "store-1.saved", "weights-only"),
            Wrong(edited(SAVE, (SAVES, "    model.save(path.replace('.keras', ''))\n")), "store-1.saved", "ending"),
            Wrong(edited(SAVE, (SAVES, "    import pickle\n    with open(path, 'wb') as file:\n        pickle.dump(model.get_weights(), file)\n")),
                  "store-1.saved", "pickle"),
            Wrong(edited(SAVE, ("archive.namelist()", "len(archive.namelist())")), "store-1.members", "form"),
        ],
    ),
    "store-2": Answers(
        right=[program()],
        wrong=[
            Wrong(program((" / 255", "")), "store-2.accuracy", "not-divided"),
            Wrong(program(("import keras\n", "import numpy as np\n"), (LOADS_MODEL, ""), (ASKS, "rows = np.eye(10)[np.zeros(10_000, int)]\n")), "store-2.accuracy", "fresh"),
            Wrong({"reload.py": "import zipfile\nzipfile.ZipFile('clothes.keras')\n"}, "store-2.accuracy", "not-found"),
            Wrong({"reload.py": "print('loaded')\n"}, "store-2.accuracy", "silent"),
        ],
    ),
    "store-3": Answers(
        right=[WOULD_LOAD, edited(WOULD_LOAD, ('return True, ""', 'return {"verdict": True, "reason": "same words"}'))],
        wrong=[
            Wrong(LOADS + "loads = wrote <= runs\n    return loads" + SAYS, "store-3.verdict", "text"),
            Wrong(LOADS + "loads = wrote == runs\n    return loads" + SAYS, "store-3.verdict", "any-difference"),
            Wrong(LOADS + "loads = wrote[0] == runs[0]\n    return loads" + SAYS, "store-3.verdict", "major-only"),
            Wrong(LOADS + "loads = [int(x) for x in wrote.split('.')] <= [int(x) for x in runs.split('.')]\n    return loads" + SAYS,
                  "store-3.verdict", "newer-only"),
            Wrong(LOADS + "return True\n", "store-3.verdict", "form"),
            Wrong(edited(WOULD_LOAD, ('False, f"The file says {key}, which the older Keras does not take."', 'False, ""')), "store-3.reason", "none"),
        ],
    ),
    "store-4": Answers(
        right=[CALLS, edited(CALLS, ("return names", "return set(names)")),
               edited(CALLS, ("return names", "return [tuple(name.rsplit('.', 1)) for name in names]"))],
        wrong=[
            Wrong("import pickle\ndef calls(path):\n    with open(path, 'rb') as file:\n        return [type(pickle.load(file)).__name__]\n",
                  "store-4.gifts", "ran"),
            Wrong(edited(CALLS, ("return names", "return [name for name in names if 'os' in name or 'sub' in name]")), "store-4.gifts", "list-of-bad"),
            Wrong(GLOBAL_ONLY, "store-4.gifts", "stack-global"),
            Wrong(LAST_TWO, "store-4.gifts", "memory"),
            Wrong(edited(CALLS, ("return names", "return ', '.join(names)")), "store-4.gifts", "form"),
            Wrong(edited(CALLS, ("return names", "return names + ['os.system']")), "store-4.honest", "accused"),
        ],
    ),
    "store-5": Answers(
        right=[PARAMETERS, edited(PARAMETERS, ('return {**counts, "total": sum(counts.values())}',
                                               'return counts["weights"], counts["optimizer"], sum(counts.values())'))],
        wrong=[
            Wrong(edited(PARAMETERS, ('counts["optimizer" if name.startswith("optimizer") else "weights"] += item.size',
                                      'counts["weights"] += 0 if name.startswith("optimizer") else item.size')), "store-5.counts", "weights-only"),
            Wrong(edited(PARAMETERS, ("isinstance(item, h5py.Dataset)", "isinstance(item, h5py.Dataset) and item.shape")), "store-5.counts", "without-scalars"),
            Wrong("import os\ndef parameters(path):\n    return 44426, os.path.getsize(path) // 4 - 44426, os.path.getsize(path) // 4\n",
                  "store-5.counts", "file-size"),
            Wrong("def parameters(path):\n    return 44426, 88854, 133280\n", "store-5.counts", "constant"),
            Wrong("def parameters(path):\n    return 133280\n", "store-5.counts", "form"),
        ],
    ),
    "store-6": Answers(
        right=[PUBLISH],
        wrong=[
            Wrong(edited(PUBLISH, (BUILDING, "    building = store / str(version)\n    building.mkdir()\n"), (RENAME, "")), "store-6.interrupted", "half"),
            Wrong(edited(PUBLISH, (BUILDING, "    building = store / str(version)\n"), (RENAME, ""), (REFUSES, "        pass\n")),
                  "store-6.unchanged", "changed"),
            Wrong(edited(PUBLISH, ("hashlib.sha256(one.read_bytes()).hexdigest()", "one.stat().st_size")), "store-6.verify", "sizes"),
            Wrong(edited(PUBLISH, ("sorted({*known, *found})", "found")), "store-6.verify", "missing"),
            Wrong(edited(PUBLISH, (RENAME, "    shutil.rmtree(store / str(version), ignore_errors=True)\n" + RENAME)), "store-6.race", "replaced"),
            Wrong(edited(PUBLISH, (REFUSES, "        return\n")), "store-6.unchanged", "silent"),
            Wrong(edited(PUBLISH, ("return [name", "return ['x'] or [name")), "store-6.verify", "accused"),
        ],
    ),
}  # fmt: skip
