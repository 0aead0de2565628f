"""One gRPC call: bytes to a message, a method, and errors to the status codes of gRPC."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlops_lab.errors import BadRequest, LabError, Unavailable
from mlops_lab.serve.core.inference import InferenceService
from mlops_lab.serve.core.timing import RequestContext
from mlops_lab.serve.http.dispatcher import Dispatcher
from mlops_lab.serve.observability.tfserving_metrics import STATUS_NAMES
from mlops_lab.serve.state import ServerState

# Health checks need no key.
OPEN = ("/grpc.health.v1.Health/", "/inference.GRPCInferenceService/Server")
_log = logging.getLogger("mlops_lab.serve")


@dataclass(frozen=True, eq=False)
class ServiceContext:
    """The context of one gRPC call: the service that answers, and the context of the request."""

    service: InferenceService
    request: RequestContext


Method = Callable[[ServiceContext, Any], Any]


class Unimplemented(LabError):
    """A method that this server does not offer."""

    status = 501
    code = "unimplemented"


def handler(
    state: ServerState,
    path: str,
    method: Method,
    request_class: Any,
    *,
    dispatcher: Dispatcher,
    serving: Callable[[], bool],
) -> Any:
    """Return gRPC's handler for a method: it takes bytes, so that malformed ones are an error of the client."""
    import grpc

    async def call(data: bytes, rpc: Any) -> Any:
        request = RequestContext.begin()
        try:
            if state.keys and not path.startswith(OPEN):
                sent = {key: value for key, value in rpc.invocation_metadata() if isinstance(value, str)}
                state.keys.check(sent.get("authorization", ""), sent.get("x-api-key", ""))
            context, message = ServiceContext(state.service, request), parse(request_class, data)
            if path.startswith(OPEN):  # quick, and answered also where every thread is taken
                answer = method(context, message)
            elif not serving():  # the connection is closing, but this call was on its way
                raise Unavailable("The server is stopping.", "Send the request to another one.", code="draining")
            else:
                dispatcher.check()
                answer = await dispatcher.run(lambda: method(context, message))
        except LabError as error:
            failure, status = str(error), error.status
        except Exception as error:
            _log.error("%s failed", path, exc_info=error)
            failure, status = "Something went wrong inside the server.", 500
        else:
            failure, status = "", 200
        request.finish()
        state.record_call(path, status, request)
        if status == 200:
            return answer
        # Where a message is too long for a header, gRPC would send nothing of it at all.
        return await rpc.abort(getattr(grpc.StatusCode, STATUS_NAMES.get(status, "INTERNAL")), failure[:1000])

    return grpc.unary_unary_rpc_method_handler(call, response_serializer=lambda message: message.SerializeToString())


def parse(request_class: Any, data: bytes) -> Any:
    """Return the message in the bytes of a call.

    Raises
    ------
    BadRequest
        The bytes are not such a message.
    """
    from google.protobuf.message import DecodeError

    if request_class is None:
        return data
    try:
        return request_class.FromString(data)
    except DecodeError as error:
        name = request_class.DESCRIPTOR.full_name
        raise BadRequest(
            f"The {len(data)} bytes are not a {name}: {error}.", "Encode it by the .proto file."
        ) from error
