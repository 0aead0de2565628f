"""gRPC on a port of its own: TensorFlow Serving's and the Open Inference Protocol's services over the same models."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mlops_lab.errors import MissingPackage, NotFound, PortTaken
from mlops_lab.serve.limits import Limits
from mlops_lab.serve.operations.gate import Gate, Keys
from mlops_lab.serve.ports import bind
from mlops_lab.serve.protocols import tensors
from mlops_lab.serve.registry import Registry
from mlops_lab.serve.rpc.call import Count, Desk, handler


class RpcServer:
    """A gRPC server that is answering.

    Attributes
    ----------
    port
        Where it answers.
    """

    def __init__(self, desk: Desk, host: str, port: int) -> None:
        import grpc

        if port:  # gRPC's own words on a port that is taken go to standard error
            bind(host, port).close()
        self._serving = True
        limits = desk.limits
        options = [
            ("grpc.max_receive_message_length", limits.body_bytes),
            ("grpc.max_metadata_size", limits.header_bytes),
            # Another program that listens there is an error, and not somebody to share the port with.
            ("grpc.so_reuseport", 0),
        ]
        pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="mlops-lab-rpc")
        most = limits.threads + limits.queue
        self._server = grpc.server(pool, options=options, maximum_concurrent_rpcs=most)
        for name, methods in services(desk, self).items():
            self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, methods)])
        where = f"[{host}]" if ":" in host else host
        try:
            self.port: int = self._server.add_insecure_port(f"{where}:{port}")
        except RuntimeError as error:
            pool.shutdown()
            raise PortTaken(
                f"Port {port} of {host} cannot be had for gRPC.",
                "Stop the program that listens there, or take port 0 for a free one.",
            ) from error
        self._server.start()

    def is_serving(self) -> bool:
        """Tell whether it takes calls; a server that is being stopped does not."""
        return self._serving

    def stop(self, grace: float | None = None) -> Any:
        """Take no new calls, and give those that are being answered so many seconds.

        Returns at once; ``wait()`` of what it returns waits until all is over.
        """
        self._serving = False
        return self._server.stop(grace)


def services(desk: Desk, server: RpcServer) -> dict[str, dict[str, Any]]:
    """Return every method of every service, ready for gRPC."""
    from mlops_lab.serve.rpc import oip as rpc_oip
    from mlops_lab.serve.rpc import tfserving as rpc_tfserving
    from mlops_lab.serve.rpc.protos import health_pb2

    def check(desk: Desk, request: Any) -> Any:
        if request.service and request.service not in known:
            raise NotFound(f"There is no service {request.service[:80]!r}.", f"There are: {', '.join(known)}.")
        fine = server.is_serving() and desk.registry.ready()
        return health_pb2.HealthCheckResponse(status="SERVING" if fine else "NOT_SERVING")

    health = {"grpc.health.v1.Health": {"Check": (check, health_pb2.HealthCheckRequest)}}
    known: Mapping[str, Any] = {**rpc_tfserving.SERVICES, **rpc_oip.SERVICES, **health}
    return {
        service: {name: handler(desk, f"/{service}/{name}", *found) for name, found in methods.items()}
        for service, methods in known.items()
    }


def serve_grpc(
    registry: Registry,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    limits: Limits | None = None,
    gate: Gate | None = None,
    keys: Keys | None = None,
    on_prediction: tensors.OnPrediction | None = None,
    find: tensors.Find | None = None,
    count: Count | None = None,
) -> RpcServer:
    """Answer gRPC calls, in threads of its own.

    Parameters
    ----------
    registry
        The models; the same one that HTTP serves.
    host, port
        0 takes a free port.
    limits, gate, keys, on_prediction, find, count
        What the HTTP server has; a gate that both share makes a model's limit hold for both together.

    Raises
    ------
    MissingPackage
        grpcio or protobuf is not installed.
    PortTaken
        Another program listens there.

    Examples
    --------
    >>> server = serve_grpc(Registry())
    >>> server.stop().wait()
    True
    """
    try:
        import google.protobuf  # noqa: F401
        import grpc  # noqa: F401
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed, and gRPC needs it."
        raise MissingPackage(message, "pip install grpcio protobuf") from error
    limits = limits or Limits()
    desk = Desk(registry, limits, gate or Gate(limits), keys or Keys(()), on_prediction, find, count)
    return RpcServer(desk, host, port)
