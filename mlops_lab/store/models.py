"""The models folder: every version of every model, published once and never changed."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlops_lab import show
from mlops_lab.deprecation import warn_renamed
from mlops_lab.errors import DamagedArtifact, StoreError, UnknownModel, UnknownVersion, WrongUsage, nearest
from mlops_lab.inputs import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.signature import Task
from mlops_lab.store import aliases
from mlops_lab.store.disk import temporary_folder
from mlops_lab.store.gates import require_gates
from mlops_lab.store.history import read_history
from mlops_lab.store.intake.outputs import Labels
from mlops_lab.store.intake.preparing import from_run, prepare
from mlops_lab.store.intake.source import Prepared
from mlops_lab.store.keras_file import OnMismatch
from mlops_lab.store.manifest import MAX_BYTES, ModelManifest
from mlops_lab.store.names import NAME, check_name, is_version_number
from mlops_lab.store.publish import publish_model
from mlops_lab.store.reading import is_real_folder, is_regular, read_below
from mlops_lab.store.version import ModelVersion, digest, load_version, read_published


class ModelStore:
    """A folder of models, each a folder of numbered versions.

    Parameters
    ----------
    root
        The folder. It need not exist before the first version is published.
    trusted
        The digests of versions that are Python code, which runs when it is loaded; publishing shows them. Those in the
        variable ``MLOPS_LAB_TRUST`` are trusted, too.

    Examples
    --------
    >>> models = ModelStore("models")
    >>> models.versions("clothes")  # doctest: +SKIP
    [1]
    >>> models.load("clothes", "latest")  # doctest: +SKIP
    """

    def __init__(self, root: str | Path, trusted: Collection[str] = ()) -> None:
        self.root = Path(root)
        self.trusted = tuple(trusted)

    def __repr__(self) -> str:
        return f"ModelStore({str(self.root)!r})"

    def _repr_html_(self) -> str:
        rows = [
            (name, ", ".join(f"v{number}" for number in self.versions(name)), _aliases_text(self.aliases(name)))
            for name in self.names()
        ]
        return show.card(f"Models in {self.root}", show.table(rows, ("model", "versions", "aliases")))

    def names(self) -> list[str]:
        """Return the models that have at least one version, or whose folder cannot be read.

        Raises
        ------
        WrongUsage
            What should be the folder of the models is a file.
        """
        if self.root.is_file():
            raise WrongUsage(f"{self.root} is a file.", "Name the folder that holds the models.")
        return [folder.name for folder in self._folders(self.root) if self._holds_versions(folder.name)]

    def versions(self, name: str) -> list[int]:
        """Return the numbers of a model's versions, oldest first. A folder without a manifest is not one."""
        if not NAME.fullmatch(name) or not is_real_folder(self.root / name):
            return []
        try:
            with os.scandir(self.root / name) as entries:
                numbers = [int(entry.name) for entry in entries if is_version_number(entry.name)]
        except OSError as error:
            raise StoreError(f"{self.root / name} cannot be read: {error.strerror}.", "Make it readable.") from error
        return sorted(number for number in numbers if self._has(name, number))

    def _has(self, name: str, number: int) -> bool:
        folder = os.path.join(self.root, name, str(number))
        return is_real_folder(folder) and is_regular(os.path.join(folder, "manifest.json"))

    def aliases(self, name: str) -> dict[str, int]:
        """Return the names that point at a version: ``{"production": 3}``."""
        return aliases.read_aliases(self.root / name)

    def history(self, name: str) -> list[dict[str, Any]]:
        """Return who published, promoted and rolled back, oldest first."""
        self._known(name)
        return read_history(self.root / name)

    def get(self, name: str, version: int | str = "latest") -> ModelVersion:
        """Return a version by number, ``"v3"``, alias or ``"latest"``, described by its manifest; no model is loaded.

        It costs about a millisecond, however many versions there are, so a server can describe versions that it loads
        only when somebody asks for them: ``load_version(store.get(name, number))``.

        Raises
        ------
        UnknownModel, UnknownVersion
            The message names those there are.
        DamagedArtifact
            Its manifest cannot be read.
        """
        number = self.resolve(name, version)
        path = self.root / name / str(number)
        try:
            text = read_below(self.root, f"{name}/{number}/manifest.json", MAX_BYTES)
        except OSError as error:
            raise DamagedArtifact(f"{path} has no readable manifest: {error.strerror}.", "Publish it again.") from error
        manifest = ModelManifest.from_json(
            text, str(path / "manifest.json"), lambda file: read_published(path, file, manifest.files[file])
        )
        if (manifest.name, manifest.version) != (name, number):
            message = f"The manifest of {path} describes {manifest.name} v{manifest.version}."
            raise DamagedArtifact(message, "A version cannot be copied to another name; publish it there.")
        return ModelVersion(name, number, path, manifest, digest(text))

    def resolve(self, name: str, version: int | str = "latest") -> int:
        """Return the number that a version, an alias or ``"latest"`` stands for."""
        wanted = str(version)
        digits = wanted.removeprefix("v")
        if is_version_number(digits) and NAME.fullmatch(name) and self._has(name, int(digits)):
            return int(digits)  # whatever may be wrong with the aliases; the other versions are not looked at
        numbers = self._known(name)
        if wanted == "latest":
            return numbers[-1]
        known, versions = self.aliases(name), [f"v{number}" for number in numbers]
        if wanted not in known:
            message = f"The model {name!r} has no version {wanted!r}."
            raise UnknownVersion(message, nearest(wanted, [*known, *versions]))
        if known[wanted] not in numbers:
            message = f"The alias {wanted!r} of {name!r} points at v{known[wanted]}, which is not there."
            raise UnknownVersion(message, nearest(f"v{known[wanted]}", versions))
        return known[wanted]

    def fingerprint(self, name: str, version: int) -> tuple[int, int, int]:
        """Return the inode, modification time (ns) and size (bytes) of a version's manifest; zeros where it is gone."""
        try:
            found = (self.root / name / str(version) / "manifest.json").lstat()
        except OSError:
            return (0, 0, 0)
        return (found.st_ino, found.st_mtime_ns, found.st_size)

    def mark(self, name: str, version: int) -> tuple[int, int, int]:
        """Return :meth:`fingerprint`; deprecated."""
        warn_renamed("ModelStore.mark", "fingerprint")
        return self.fingerprint(name, version)

    def load(
        self,
        name: str,
        version: int | str = "latest",
        *,
        engine: str | None = None,
        on_mismatch: OnMismatch = "warn",
    ) -> Predictor:
        """Return a version, ready to answer, once everything about it has been checked.

        The hash of every file, the versions that wrote them (where Keras itself will read them) and the golden
        examples are checked; what was hashed is what is loaded.

        Parameters
        ----------
        name, version
            As for :meth:`get`.
        engine
            ``"onnx"``, ``"keras"`` or ``"sklearn"``; by default the one that the manifest names.
        on_mismatch
            What to do when Keras or TensorFlow is another version than the one that wrote the files.

        Raises
        ------
        DamagedArtifact
            A file, or an answer to a golden example, is not what was published.
        IncompatibleFile
            The versions differ and ``on_mismatch`` is ``"error"``.
        """
        found = self.get(name, version)
        return load_version(found, engine=engine, on_mismatch=on_mismatch, trusted=self.trusted)

    def prepare(self, name: str) -> None:
        """Make sure that a version of this name could be written: better before the training than after it.

        Raises
        ------
        StoreError
            The folder cannot be written.
        WrongUsage
            That cannot be the name of a model.
        """
        with temporary_folder(self.root / check_name(name)):
            pass

    def publish(
        self,
        model: Any,
        name: str,
        version: int | None = None,
        *,
        examples: Any = None,
        labels: Labels = None,
        data: Any = None,
        input: InputSpec | None = None,
        task: Task | None = None,
        description: str = "",
        trust: bool = False,
    ) -> ModelVersion:
        """Write a model of any framework as a new version, whole or not at all.

        The examples are run, and the signature is inferred from what comes out. Everything is written into a temporary
        folder, loaded from there and asked, pushed to the disk, and the folder is renamed.

        Parameters
        ----------
        model
            What :func:`mlops_lab.train.fit` returned, which needs no more than a name; a Keras model; an estimator or
            pipeline of scikit-learn; an estimator or booster of XGBoost or LightGBM; a function, or an object with
            ``predict``; or the path of an ``.onnx``, ``.keras``, ``.skops`` or ``.py`` file.
        name
            Of the model: small letters, digits, ``-`` and ``_``.
        version
            By default the next free number.
        examples
            Some inputs, just as the model's own ``predict`` takes them: an array, a table of pandas, a list of
            strings, or ``{name: array}`` for a model of several inputs.
        labels
            The names of the classes, in the order of the output; by default those that the model knows. For several
            outputs ``{output: labels}``.
        data
            Instead of, or beside, the examples: test data, which gives metrics as well. A data set, ``(X, y)``, or the
            path of an ``.npz`` file with ``x`` and ``y``.
        input
            What the model takes, where that cannot be seen from the examples: images that are scaled in a way of their
            own. The examples are then images 0–255.
        task
            What its answers are, where that cannot be seen from them: ``"multilabel"``, ``"embedding"``, …
        description
            One sentence for people; by default what the data set is for.
        trust
            Whether you know who made the file: spares its trial in a limited child process.

        Returns
        -------
        ModelVersion
            It draws itself as a card: what the version takes and answers, and how to ask it.

        Raises
        ------
        VersionExists
            A published version never changes.
        DamagedArtifact
            No form of the model answers as the model itself does.
        StoreError
            The folder cannot be written, or the disk is full.
        WrongUsage
            The model does not take its examples, or the labels are not those of its classes.
        UnsafeFile
            The file does more than hold a model.

        Examples
        --------
        >>> import tempfile
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> iris = load_iris()
        >>> model = LogisticRegression(max_iter=500).fit(iris.data, iris.target_names[iris.target])
        >>> ModelStore(tempfile.mkdtemp()).publish(model, "iris", examples=iris.data).manifest.labels
        ('setosa', 'versicolor', 'virginica')
        """
        parent = self.root / check_name(name)

        def make() -> Prepared:
            if hasattr(model, "framework") and hasattr(model, "examples"):
                return from_run(model)
            return prepare(model, examples=examples, labels=labels, data=data, input=input, task=task, trust=trust)

        return publish_model(make, parent, version, description)

    def promote(
        self, name: str, version: int | str, alias: str = "production", *, why: str = "", force: bool = False
    ) -> int:
        """Point an alias at a version, unless it was validated and a gate failed; returns the version's number.

        A version that was never validated is let through, and the history says so; ``[promotion] validated = true`` in
        the model's ``gates.toml`` refuses it.

        Parameters
        ----------
        name, version
            As for :meth:`get`.
        alias
            The name that is moved.
        why
            A sentence for the history.
        force
            Promote whatever the gates say; then ``why`` is needed.

        Raises
        ------
        GateFailed
            The message names the gates, by how much they failed, and the images.
        """
        number = self.resolve(name, version)
        if force and not why:
            raise WrongUsage("A promotion that goes around the gates needs a reason.", "Pass why=, for the history.")
        gates = "not asked" if force else require_gates(self.get(name, number))
        aliases.move_alias(self.root / name, alias, number, event="promoted", why=why, gates=gates)
        return number

    def rollback(self, name: str, alias: str = "production", *, why: str = "") -> int:
        """Point an alias at the version it pointed to before; returns that version's number.

        Raises
        ------
        StoreError
            There is no version to go back to.
        """
        current = self.aliases(name).get(alias) if self._known(name) else None
        moves = [
            entry for entry in self.history(name) if entry.get("alias") == alias and entry.get("version") == current
        ]
        before = moves[-1].get("before") if moves else None
        if before is None:
            raise StoreError(f"{alias!r} of {name!r} has no version to go back to.", "Promote a version instead.")
        self.resolve(name, before)
        aliases.move_alias(self.root / name, alias, before, event="rolled back", why=why)
        return int(before)

    def _holds_versions(self, name: str) -> bool:
        try:
            return bool(self.versions(name))
        except (StoreError, OSError):  # it must not hide the others; asking for its versions says why
            return True

    def _known(self, name: str) -> list[int]:
        numbers = self.versions(name)
        if not numbers:
            raise UnknownModel(f"There is no model {name!r} in {self.root}.", nearest(name, self.names()))
        return numbers

    def _folders(self, parent: Path) -> list[Path]:
        try:
            return sorted(path for path in parent.iterdir() if NAME.fullmatch(path.name) and is_real_folder(path))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise StoreError(f"{parent} cannot be read: {error.strerror}.", "Make it readable.") from error


def _aliases_text(known: Mapping[str, int]) -> str:
    return ", ".join(f"{alias} → v{number}" for alias, number in sorted(known.items())) or "none"
