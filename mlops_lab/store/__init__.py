"""Stage 3: store. Models on disk: published whole, never changed, loaded only when they are what was published.

``ModelStore`` keeps versions in a folder; ``save_keras`` and ``load_keras`` handle a single ``.keras`` file. ``check``
tells whether a file would load, ``audit`` refuses one that does more than hold a model, ``migrate`` rewrites one for
another version of Keras.
"""

from mlops_lab.store.compat import CompatReport, MigrationReport, check, migrate
from mlops_lab.store.imported import from_onnx
from mlops_lab.store.keras_file import load_keras, save_keras
from mlops_lab.store.manifest import ModelManifest
from mlops_lab.store.models import ModelStore
from mlops_lab.store.pickled import load_pickle
from mlops_lab.store.safety import AuditReport, audit
from mlops_lab.store.version import ModelVersion

__all__ = [
    "AuditReport",
    "CompatReport",
    "MigrationReport",
    "ModelManifest",
    "ModelStore",
    "ModelVersion",
    "audit",
    "check",
    "from_onnx",
    "load_keras",
    "load_pickle",
    "migrate",
    "save_keras",
]
