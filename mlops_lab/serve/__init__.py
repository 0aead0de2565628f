"""Stage 4: serve. An inference server over the models of a store, and background servers for notebooks.

A request reads as four verbs (see ``rest/images.py``): find, decode, predict, encode.
"""

from typing import TYPE_CHECKING, Any

from mlops_lab.serve.app import create_app as create_app
from mlops_lab.serve.asgi import create_asgi as create_asgi
from mlops_lab.serve.background import RunningServer as RunningServer
from mlops_lab.serve.background import servers as servers
from mlops_lab.serve.background import start as start
from mlops_lab.serve.background import stop_all as stop_all
from mlops_lab.serve.chains.chain import Chain as Chain
from mlops_lab.serve.core.batching import Batching as Batching
from mlops_lab.serve.core.limits import Limits as Limits
from mlops_lab.serve.core.registry import Registry as Registry

if TYPE_CHECKING:
    from mlops_lab.client import Client as Client
    from mlops_lab.client import Predictions as Predictions

_CLIENT = ("Client", "Predictions")


def __getattr__(name: str) -> Any:
    """Import the client on first use: a server needs neither it nor the 16 MB of ``requests``."""
    if name in _CLIENT:
        from mlops_lab import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_CLIENT})
