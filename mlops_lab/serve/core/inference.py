"""The inference service: the one way to an answer, for REST, gRPC and chains alike.

A request is routed, admitted, decoded, computed, checked and reported here, and nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mlops_lab import image, tensors
from mlops_lab.answers import from_outputs, summary_rows
from mlops_lab.errors import BadRequest, LabError, TooLarge
from mlops_lab.predict import PredictionEvent, Predictor
from mlops_lab.serve.core import timing
from mlops_lab.serve.core.admission import AdmissionController, Ticket
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.registry import Registry
from mlops_lab.serve.core.scale import check_tensor_scale
from mlops_lab.serve.core.timing import Promise, RequestContext
from mlops_lab.serve.core.traffic import Route, TrafficRouter
from mlops_lab.serve.core.watchdog import WATCHDOG, Call, on_deadline
from mlops_lab.tensors import Tensors, check_rows, check_tensor, class_rows

Images = list[NDArray[Any]] | NDArray[Any]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The examples of one request: images, or the tensors that a client prepared itself.

    ``inputs`` are those tensors by name, for a model that is not a plain classifier; ``decoded`` tells that the images
    among them came as pixels 0–255, so that their scale is right. ``message`` is what the protocol needs of the request
    to encode the answer.
    """

    images: Images | None = None
    tensor: NDArray[Any] | None = None
    message: Any = None
    inputs: Tensors | None = None
    decoded: bool = False

    def __len__(self) -> int:
        examples = self.images if self.tensor is None else self.tensor
        if self.inputs is not None:
            examples = next(iter(self.inputs.values()), None)
        if examples is None or (isinstance(examples, np.ndarray) and examples.ndim == 0):
            return 0
        return len(examples)


Decode = Callable[[Predictor], Batch]


@dataclass(frozen=True, slots=True, eq=False)
class Inference:
    """An answer: the version that gave it, the examples, what it said of them, and what it took.

    Parameters
    ----------
    request_id
        Identifies the request.
    predictor
        The version that answered.
    batch
        The examples.
    rows
        ``(n, classes)`` probabilities; for a model without classes, the numbers of its first output, ``(n, numbers)``.
    seconds
        Time of the engine.
    inputs, outputs
        The named inputs and outputs of a model that is not a plain classifier; ``None`` for one that is.
    answers
        What those outputs say of each example, as :func:`mlops_lab.answers.from_outputs` returns it; else empty.
    """

    request_id: str
    predictor: Predictor
    batch: Batch
    rows: NDArray[np.float32]
    seconds: float
    inputs: Tensors | None = None
    outputs: Tensors | None = None
    answers: Sequence[Any] = ()

    def to_event(self) -> PredictionEvent:
        """Return the answer as logs keep it."""
        images = self.batch.images
        if images is None:
            tensor = self.batch.tensor if self.inputs is None else self.inputs[self.predictor.input.name]
            assert tensor is not None
            images = image.from_input(tensor, self.predictor.input)
        rows = self.rows if self.outputs is None else summary_rows(self.outputs, self.predictor.signature)
        return PredictionEvent(
            self.request_id, time.time(), self.predictor, images, rows, self.seconds, self.inputs, self.outputs
        )


Hook = Callable[[Inference], Promise | None]


@dataclass(eq=False)
class InferenceService:
    """Answers requests for predictions, whatever protocol they came by.

    Parameters
    ----------
    registry
        The models.
    limits
        The limits of a request.
    admission
        Shared by all protocols, so that a limit on a model holds for all of them together.
    router
        Chooses the version that answers.
    hooks
        Called with each :class:`Inference` before it is encoded, in order; the answer waits for what they promise.
    blocking
        Whether a hook may block, so that requests must not be computed on an event loop.

    Examples
    --------
    >>> from mlops_lab.engines.python import PythonEngine
    >>> from mlops_lab.image import InputSpec
    >>> coin = Predictor("coin", 1, InputSpec((2,)), ("heads", "tails"), PythonEngine(lambda inputs: inputs))
    >>> service = InferenceService.over(Registry.of(coin))
    >>> service.infer("coin", "", lambda _: Batch(tensor=np.array([[0.25, 0.75]])), RequestContext.begin()).rows
    array([[0.25, 0.75]], dtype=float32)
    """

    registry: Registry
    limits: Limits
    admission: AdmissionController
    router: TrafficRouter
    hooks: list[Hook] = field(default_factory=list)
    blocking: bool = False

    @classmethod
    def over(cls, registry: Registry, limits: Limits | None = None, on_shadow: Any = None) -> InferenceService:
        """Return a service over a registry, with an admission controller and a router of its own."""
        limits = limits or Limits()
        return cls(
            registry, limits, AdmissionController(limits), TrafficRouter(registry, on_shadow, limits.request_seconds)
        )

    def infer(
        self, name: str, version: str, decode: Decode, context: RequestContext, ticket: Ticket | None = None
    ) -> Inference:
        """Route, admit, decode, compute, check and report one request.

        Parameters
        ----------
        name, version
            The model, and any name for one of its versions; empty for the default.
        decode
            Returns the examples for the version that answers; called once the request is admitted.
        context
            The context of the request.
        ticket
            A place that the caller holds already, and leaves itself.

        Raises
        ------
        LabError
            One of its kinds: no such model, too many requests, a bad body, or an engine that failed.
        """
        return self.answer(self.route(name, version, context), decode, context, ticket)

    def loaded(self, name: str, version: str) -> Predictor | None:
        """Return a version that is in memory, by any name for it; None where it must be loaded first, or is unknown."""
        entry = self.registry.entries.get(name)
        return entry.loaded.get(entry.by_version.get(version, 0)) if entry is not None else None

    def is_quick(self, predictor: Predictor) -> bool:
        """Return whether one prediction takes less time than handing it to a thread would."""
        entry = self.registry.entries.get(predictor.name)
        seconds = entry.seconds.get(predictor.version) if entry is not None else None
        return seconds is not None and seconds < self.limits.loop_seconds and not self.blocking

    def route(self, name: str, version: str, context: RequestContext) -> Route:
        """Return the version that answers; loading one on its first use does not count against the deadline."""
        loaded = self.loaded(name, version)
        if loaded is None:
            route = self.router.route(name, version, context.request_id)
            context.restart()
            return route
        if self.registry.entries[name].traffic is None:
            return Route(loaded)
        return self.router.route(name, version, context.request_id)

    def answer(self, route: Route, decode: Decode, context: RequestContext, ticket: Ticket | None = None) -> Inference:
        """Answer a request that has been routed; the arguments and errors are those of :meth:`infer`."""
        model = route.predictor.name
        with self.admission.admit(model, context.elapsed()) if ticket is None else nullcontext():
            context.record_stage("queue")
            return self._compute(route, decode(route.predictor), context)

    def _compute(self, route: Route, batch: Batch, context: RequestContext) -> Inference:
        predictor = route.predictor
        check_length(len(batch), self.limits)
        if not predictor.signature.is_classifier:
            return self._compute_named(route, batch, context)
        tensor = to_tensor(batch, predictor)
        context.record_stage("decode")
        token = timing.current.set(context)
        started = time.perf_counter()
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                rows = self._watched(predictor, context, lambda: predictor.engine.predict(tensor))
        finally:
            timing.current.reset(token)
        seconds = time.perf_counter() - started
        check_rows(rows, len(tensor), predictor, prepared=batch.tensor is not None)
        context.record_stage("infer")
        if route.record is not None:
            route.record(tensor, rows, 1000 * seconds, ())
        return self._report(Inference(context.request_id, predictor, batch, rows, seconds), context)

    def _compute_named(self, route: Route, batch: Batch, context: RequestContext) -> Inference:
        """Compute the named outputs of a model that is more than one row of probabilities for one input."""
        predictor = route.predictor
        inputs = tensors.check_inputs(to_inputs(batch, predictor), predictor)
        if batch.images is None and not batch.decoded:
            for spec in predictor.signature.inputs:
                check_tensor_scale(inputs[spec.name], spec)
        context.record_stage("decode")
        token = timing.current.set(context)
        started = time.perf_counter()
        try:
            prepared = batch.inputs is not None
            outputs = self._watched(
                predictor, context, lambda: tensors.run_checked(predictor, inputs, prepared=prepared)
            )
        finally:
            timing.current.reset(token)
        seconds = time.perf_counter() - started
        context.record_stage("infer")
        answers = from_outputs(outputs, predictor.signature)  # once, for counts and for the routes of the course
        if route.record is not None:
            route.record(inputs, outputs, 1000 * seconds, answers)
        first = predictor.signature.outputs[0]
        rows = class_rows(outputs[first.name].reshape(len(batch), -1), first)
        found = Inference(context.request_id, predictor, batch, rows, seconds, inputs, outputs, answers)
        return self._report(found, context)

    def _report(self, inference: Inference, context: RequestContext) -> Inference:
        context.predictor = inference.predictor
        for hook in self.hooks:
            promise = hook(inference)
            if promise is not None and context.promises is None:
                promise.wait()
            elif promise is not None and context.promises is not None:
                context.promises.append(promise)
        return inference

    def _watched(self, predictor: Predictor, context: RequestContext, compute: Callable[[], Result]) -> Result:
        """Compute under the eyes of the watchdog, which gives the call up at the deadline of the request."""
        limit = self.limits.request_seconds
        call = Call(predictor, self.admission.queue(predictor.name), context.started + limit, limit, on_deadline.get())
        key = id(call)
        WATCHDOG.calls[key] = call
        try:
            if WATCHDOG.sleeping:
                WATCHDOG.wake()
            if context.last > call.deadline:  # decoding took all the time there was
                raise call.error()
            answer = compute()
        except Exception as error:
            if call.overdue and not isinstance(error, LabError):
                raise call.error() from error
            raise
        finally:
            with WATCHDOG.lock:
                del WATCHDOG.calls[key]
                call.queue.overdue -= call.overdue
        if call.overdue:
            raise call.error()
        return answer


def to_tensor(batch: Batch, predictor: Predictor) -> NDArray[Any]:
    """Return a batch as a plain classifier takes it."""
    if batch.tensor is None:
        assert batch.images is not None
        return image.to_input(batch.images, predictor.input)
    tensor = check_tensor(batch.tensor, predictor)
    check_tensor_scale(tensor, predictor.input)
    return tensor


def to_inputs(batch: Batch, predictor: Predictor) -> Tensors:
    """Return a batch as named inputs, its images as the model takes them."""
    if batch.inputs is not None:
        return batch.inputs
    name, images = predictor.input.name, batch.images
    if images is None:
        assert batch.tensor is not None
        return {name: batch.tensor}
    return {name: image.to_input(images, predictor.input) if predictor.input.size else np.asarray(images)}


def check_length(length: int, limits: Limits) -> None:
    """Raise where a batch is empty, or longer than the limit."""
    if length < 1:
        raise BadRequest("The batch is empty.", "Send at least one example.")
    if length > limits.batch:
        message = f"The batch has {length} examples; the limit is batch={limits.batch}."
        raise TooLarge(message, "Send several requests.")
