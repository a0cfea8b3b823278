"""moto as a server that does one request after the other: moto_process.py PORT.

moto's own server has a thread for each request, and moto compares an ETag in one step and writes in another: of two
updates that race, both can win, and a read beside them can fail. Tests of stores are about such races.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server


class OneByOne:
    """A WSGI application around another one, which gets whole requests, one at a time."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        # A client that sends slowly holds up nobody: what it sends is read before its turn.
        if environ.get("wsgi.input_terminated"):  # in chunks; werkzeug decodes them
            body = environ["wsgi.input"].read()
        else:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        with self._lock:
            answer: Iterable[bytes] = self._application(environ, start_response)
            try:
                return list(answer)
            finally:
                if hasattr(answer, "close"):
                    answer.close()


def main(port: int) -> None:
    application = OneByOne(DomainDispatcherApplication(create_backend_app))
    make_server("127.0.0.1", port, application, threaded=True, request_handler=MotoRequestHandler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
