"""HTTP/1.1 by uvicorn: the server, the limits that uvicorn leaves open, and a bridge to WSGI applications."""

from mlops_lab.serve.http.server import HttpServer as HttpServer
from mlops_lab.serve.http.server import refuse_debug as refuse_debug
from mlops_lab.serve.http.server import serve_until as serve_until
from mlops_lab.serve.http.server import stop_on_signals as stop_on_signals
