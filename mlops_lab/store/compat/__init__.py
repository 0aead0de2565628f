"""Whether a model file loads, in this environment or in another one, and how to make it load.

The modules: ``formats`` recognises a file and reads its configuration; ``keys`` is the table of what each Keras accepts
(``keras_keys.json``, written by ``tools/keras_keys.py``); ``verdict`` compares the two, and ``other_formats`` judges
what is not Keras; ``checker`` makes the report; ``rewrite``, ``graph`` and ``migration`` make a file for another Keras.
"""

from mlops_lab.store.compat.checker import CompatReport, check
from mlops_lab.store.compat.migration import MigrationReport, migrate

__all__ = ["CompatReport", "MigrationReport", "check", "migrate"]
