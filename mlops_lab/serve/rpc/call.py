"""One gRPC call: bytes to a message, a method of ours, and errors to the statuses of gRPC."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import BadRequest, LabError, Unauthorized
from mlops_lab.predict import Predictor
from mlops_lab.serve.limits import Limits
from mlops_lab.serve.operations import laps
from mlops_lab.serve.operations.gate import Gate, Keys
from mlops_lab.serve.protocols import tensors
from mlops_lab.serve.registry import Registry

# gRPC's word and number for the HTTP status of an error of ours; 501 is what this server does not do.
STATUSES = {
    400: ("INVALID_ARGUMENT", 3),
    401: ("UNAUTHENTICATED", 16),
    404: ("NOT_FOUND", 5),
    413: ("INVALID_ARGUMENT", 3),
    501: ("UNIMPLEMENTED", 12),
    503: ("UNAVAILABLE", 14),
    504: ("DEADLINE_EXCEEDED", 4),
}
# Whether the server is alive is nobody's secret, and who probes it has no key.
OPEN = ("/grpc.health.v1.Health/", "/inference.GRPCInferenceService/Server")
_log = logging.getLogger("mlops_lab.serve")

Method = Callable[["Desk", Any], Any]
Count = Callable[[str, str, int, laps.Laps], None]


class Unimplemented(LabError):
    """Nothing that this server does."""

    status = 501
    code = "unimplemented"


@dataclass(frozen=True, eq=False)
class Desk:
    """What every call needs.

    Parameters
    ----------
    registry
        The models.
    limits
        What is taken at most.
    gate
        Shared with HTTP, so that a limit on a model holds for both together.
    keys
        Who may ask; by default everybody.
    on_prediction
        Called after each answer.
    find
        Says who answers a request, by default the registry.
    count
        Called with the method, ``"POST"``, the HTTP status that fits, and the stopwatch; for metrics.
    """

    registry: Registry
    limits: Limits
    gate: Gate
    keys: Keys
    on_prediction: tensors.OnPrediction | None = None
    find: tensors.Find | None = None
    count: Count | None = None

    def answer(self, predictor: Predictor, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return ``(n, classes)`` once there is room for another request of this model."""
        watch = laps.current()
        with self.gate.admit(predictor.name, watch.elapsed() if watch else 0.0):
            laps.lap("queue")
            return tensors.answer(predictor, batch, self.limits, self.on_prediction)


def handler(desk: Desk, path: str, method: Method, request_class: Any) -> Any:
    """Return what gRPC calls for one method: it takes bytes, so that bad ones are the client's error and not ours."""
    import grpc

    def call(data: bytes, context: Any) -> Any:
        watch = laps.begin()
        try:
            if not path.startswith(OPEN):
                check_key(desk.keys, context)
            answer = method(desk, parse(request_class, data))
        except LabError as error:
            failure, status = str(error), error.status
        except Exception as error:
            _log.error("%s failed", path, exc_info=error)
            failure, status = "Something went wrong inside the server.", 500
        else:
            failure, status = "", 200
        if desk.count is not None:
            desk.count(path, "POST", status, watch)
        laps.end()
        if status == 200:
            return answer
        # Where a message is too long for a header, gRPC would send nothing of it at all.
        return context.abort(getattr(grpc.StatusCode, STATUSES.get(status, ("INTERNAL", 13))[0]), failure[:1000])

    return grpc.unary_unary_rpc_method_handler(call, response_serializer=lambda message: message.SerializeToString())


def parse(request_class: Any, data: bytes) -> Any:
    """Return a message.

    Raises
    ------
    BadRequest
        The bytes are not one.
    """
    from google.protobuf.message import DecodeError

    if request_class is None:
        return data
    try:
        return request_class.FromString(data)
    except DecodeError as error:
        name = request_class.DESCRIPTOR.full_name
        raise BadRequest(f"The {len(data)} bytes are not a {name}: {error}.", "Look at the .proto file.") from error


def check_key(keys: Keys, context: Any) -> None:
    """Refuse a call without a key where the server asks for one."""
    if not keys:
        return
    given = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
    scheme, _, key = given.get("authorization", "").partition(" ")
    if not keys.open_with(key.strip() if scheme.lower() == "bearer" else given.get("x-api-key", "")):
        raise Unauthorized("The call has no API key of this server.", "Send 'authorization: Bearer <key>'.")
