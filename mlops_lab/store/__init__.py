"""Stage 3: store. Models on disk: published whole, never changed, loaded only when they are what was published.

``ModelStore`` keeps versions in a folder; ``save_keras`` and ``load_keras`` handle a single ``.keras`` file. ``check``
tells whether a file would load, ``audit`` refuses one that does more than hold a model, ``migrate`` rewrites one for
another version of Keras.
"""

from mlops_lab.store.compat import CompatReport as CompatReport
from mlops_lab.store.compat import MigrationReport as MigrationReport
from mlops_lab.store.compat import check as check
from mlops_lab.store.compat import migrate as migrate
from mlops_lab.store.imported import from_onnx as from_onnx
from mlops_lab.store.keras_file import load_keras as load_keras
from mlops_lab.store.keras_file import save_keras as save_keras
from mlops_lab.store.manifest import Manifest as Manifest
from mlops_lab.store.models import ModelStore as ModelStore
from mlops_lab.store.pickled import load_pickle as load_pickle
from mlops_lab.store.safety import AuditReport as AuditReport
from mlops_lab.store.safety import audit as audit
from mlops_lab.store.version import ModelVersion as ModelVersion
