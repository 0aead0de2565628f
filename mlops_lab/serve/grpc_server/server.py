"""gRPC on a port of its own: TensorFlow Serving's and the Open Inference Protocol's services over the same models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_lab.errors import MissingPackage, NotFound, PortTaken
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.grpc_server.context import ServiceContext, handler
from mlops_lab.serve.grpc_server.loop import PendingStop, run, schedule
from mlops_lab.serve.http.dispatcher import Dispatcher
from mlops_lab.serve.ports import bind
from mlops_lab.serve.state import ServerState


class GrpcServer:
    """A gRPC server that is answering.

    Attributes
    ----------
    port
        Where it answers.
    """

    def __init__(self, state: ServerState, host: str, port: int) -> None:
        if port:  # gRPC writes its own message about a port in use to standard error
            bind(host, port).close()
        self._serving = True
        limits = state.service.limits
        self.dispatcher = Dispatcher(limits.threads)
        where = f"[{host}]" if ":" in host else host
        try:
            self.port: int = run(self._start(state, f"{where}:{port}"))
        except RuntimeError as error:
            raise PortTaken(
                f"Cannot bind port {port} of {host} for gRPC.",
                "Stop the program that listens there, or take port 0 for a free one.",
            ) from error

    async def _start(self, state: ServerState, address: str) -> int:
        """Begin to answer, on the loop of gRPC, and return the port."""
        import grpc

        self._server = grpc.aio.server(options=options(state.service.limits))
        for name, methods in services(state, self).items():
            self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, methods)])
        port = self._server.add_insecure_port(address)
        await self._server.start()
        return int(port)

    def is_serving(self) -> bool:
        """Return whether it accepts calls; a server that is being stopped does not."""
        return self._serving

    def stop(self, grace: float | None = None) -> PendingStop:
        """Accept no new calls, and give those in flight so many seconds.

        Returns at once; ``wait()`` of what it returns waits until it has stopped.
        """
        self._serving = False
        return PendingStop(schedule(self._stop(grace)))

    async def _stop(self, grace: float | None) -> None:
        await self._server.stop(grace)
        self.dispatcher.stop()


def options(limits: Limits) -> list[tuple[str, int]]:
    """Return gRPC's own settings, made of our limits: nobody holds a connection that is idle, dead or half-open.

    gRPC has no deadline for the message of a call that has begun. So every connection is asked to close after a while,
    upon which clients open another, and what is still open on it after the grace is ended.
    """
    return [
        ("grpc.max_receive_message_length", limits.body_bytes),
        ("grpc.max_metadata_size", limits.header_bytes),
        ("grpc.max_concurrent_streams", 2 * limits.threads),
        ("grpc.server_handshake_timeout_ms", int(1000 * limits.head_seconds)),
        ("grpc.max_connection_age_ms", int(2000 * limits.body_seconds)),
        ("grpc.max_connection_age_grace_ms", int(1000 * limits.body_seconds)),
        ("grpc.max_connection_idle_ms", int(4000 * limits.idle_seconds)),
        ("grpc.keepalive_time_ms", int(2000 * limits.idle_seconds)),
        ("grpc.keepalive_timeout_ms", int(1000 * limits.idle_seconds)),
        # Another program that listens there is an error, not a process to share the port with.
        ("grpc.so_reuseport", 0),
    ]


def services(state: ServerState, server: GrpcServer) -> dict[str, dict[str, Any]]:
    """Return the handler of every method of every service."""
    from mlops_lab.serve.grpc_server import oip, tfserving
    from mlops_lab.serve.grpc_server.protos import health_pb2

    def check(context: ServiceContext, request: Any) -> Any:
        if request.service and request.service not in known:
            raise NotFound(f"There is no service {request.service[:80]!r}.", f"There are: {', '.join(known)}.")
        serving = server.is_serving() and state.registry.is_ready()
        return health_pb2.HealthCheckResponse(status="SERVING" if serving else "NOT_SERVING")

    health = {"grpc.health.v1.Health": {"Check": (check, health_pb2.HealthCheckRequest)}}
    known: Mapping[str, Any] = {**tfserving.SERVICES, **oip.SERVICES, **health}
    return {
        service: {
            name: handler(state, f"/{service}/{name}", *found, dispatcher=server.dispatcher, serving=server.is_serving)
            for name, found in methods.items()
        }
        for service, methods in known.items()
    }


def serve_grpc(state: ServerState, host: str = "127.0.0.1", port: int = 0) -> GrpcServer:
    """Answer gRPC calls, in threads of its own.

    Parameters
    ----------
    state
        The parts of an application, which gRPC shares: ``app.extensions["mlops_lab"]``.
    host, port
        The address to listen on; port 0 takes a free one.

    Raises
    ------
    MissingPackage
        grpcio or protobuf is not installed.
    PortTaken
        Another program listens there.

    Examples
    --------
    >>> from mlops_lab.serve import create_app
    >>> server = serve_grpc(create_app([]).extensions["mlops_lab"])
    >>> server.stop().wait()
    True
    """
    try:
        import google.protobuf  # noqa: F401
        import grpc  # noqa: F401
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed, and gRPC needs it."
        raise MissingPackage(message, "pip install grpcio protobuf") from error
    return GrpcServer(state, host, port)
