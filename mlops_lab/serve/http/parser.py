"""What of a request's head is refused although waitress would take it: what two readers could read in two ways."""

from __future__ import annotations

import re

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest, RequestHeaderFieldsTooLarge

_START = re.compile(rb"\S+ \S+ HTTP/1\.[01]")
_HOST = re.compile(rb"[A-Za-z0-9._~%!$&'()*+;=-]*(?::\d*)?|\[[0-9A-Fa-f:.]+\](?::\d*)?")


class StrictParser(HTTPRequestParser):  # type: ignore[misc]
    """waitress' parser behind :func:`fault` and a limit on the number of headers."""

    completed: bool
    path = ""  # waitress names it in its log when a client is gone, even if the head was refused before it was read

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the head of a request, or refuse it."""
        if header_plus.count(b"\r\n") - 2 > self.adj.header_fields:  # the start line and the empty one end so too
            super().parse_header(b"GET / HTTP/1.0\r\n")
            self.error = RequestHeaderFieldsTooLarge(f"more than {self.adj.header_fields} header fields")
            return
        wrong = fault(header_plus)
        if wrong:
            raise ParsingError(wrong)
        super().parse_header(header_plus)

    def received(self, data: bytes) -> int:
        """Take bytes of the request, but no endless line between chunks or after them: waitress would keep it all."""
        consumed: int = super().received(data)
        between = len(getattr(self.body_rcv, "control_line", b"")) + len(getattr(self.body_rcv, "trailer", b""))
        if between > self.adj.max_request_header_size and not self.completed:
            self.error = BadRequest(f"more than {self.adj.max_request_header_size} bytes around the chunks")
            self.completed = True
        return consumed


def fault(head: bytes) -> str:
    r"""Return what is wrong with the head of a request, or nothing.

    Parameters
    ----------
    head
        The bytes up to the body.

    Examples
    --------
    >>> fault(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    ''
    >>> fault(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n")
    'Content-Length and Transfer-Encoding in one request'
    """
    start, *lines = head.rstrip(b"\r\n").split(b"\r\n")
    if not _START.fullmatch(start):
        return "The first line is not '<method> <path> HTTP/1.1'"
    if any(line[:1] in (b" ", b"\t") for line in lines):
        return "A header is folded over two lines"
    fields = [(name.lower(), value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]
    hosts, lengths, codings = (
        [value for name, value in fields if name == wanted]
        for wanted in (b"host", b"content-length", b"transfer-encoding")
    )
    if len(hosts) > 1 or not all(_HOST.fullmatch(host) for host in hosts):
        return "There is more than one Host, or it is not a host"
    if lengths and codings:
        return "Content-Length and Transfer-Encoding in one request"
    if codings and start.endswith(b"1.0"):
        return "Transfer-Encoding in HTTP/1.0"
    if len(codings) > 1 or (codings and b"," in codings[0]):
        return "More than one Transfer-Encoding"
    if codings and codings[0].lower() != b"chunked":  # RFC 9112 would have 501, but nothing is wrong with the server
        return "A Transfer-Encoding other than chunked"
    return ""
