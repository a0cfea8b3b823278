"""Ask the service of this container whether it answers; the exit code says it. For HEALTHCHECK."""

import os
import socket
import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection

SECONDS = 4


def main() -> int:
    """Return 0 if the service answers, else 1."""
    port = int(os.environ.get("DES_RETRIEVER_PORT") or 8000)
    if os.environ.get("DES_TLS_CLIENT_CA"):
        # Who has no certificate can ask no more than whether somebody listens.
        socket.create_connection(("127.0.0.1", port), SECONDS).close()
        return 0
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    if os.environ.get("DES_TLS_CERTIFICATE"):
        # The name in the certificate is not that of this address, and nothing secret is sent.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=context)
    connection.request("GET", "/health/live")
    return 0 if connection.getresponse().status == 200 else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (HTTPException, OSError) as error:
        sys.exit(f"healthcheck: {error}")
