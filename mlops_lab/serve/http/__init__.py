"""HTTP, for a WSGI application of any kind: waitress on a socket of ours, and what it leaves open, closed."""

from mlops_lab.serve.http.server import HttpServer as HttpServer
from mlops_lab.serve.http.server import drop_newcomers as drop_newcomers
from mlops_lab.serve.http.server import end_on_signals as end_on_signals
from mlops_lab.serve.http.server import refuse_debug as refuse_debug
from mlops_lab.serve.http.server import serve_forever as serve_forever
from mlops_lab.serve.http.server import serve_on as serve_on
