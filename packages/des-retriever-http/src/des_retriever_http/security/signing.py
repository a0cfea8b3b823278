"""The text that a client signs, and that the service checks a signature against."""

from __future__ import annotations

import hashlib

__all__ = ["VERSION", "canonical_text"]

VERSION = "DES-SIG-V2"


def canonical_text(
    *, method: str, raw_path: bytes, query: bytes, body: bytes, public_key: str, timestamp: str, nonce: str
) -> bytes:
    """Say a request in bytes that no other request has.

    Each part is preceded by its length in bytes, so no part can pass for the end of another. Path and query
    are taken as they are sent: what is normalised between client and service makes the signature invalid.

    Args:
        method: As it is sent; HTTP tells cases apart.
        raw_path: The path of the request line, still percent-encoded.
        query: What follows the `?`, still percent-encoded; empty if there is none.
        body: The whole body; its SHA-256 is signed.
        public_key: `X-DES-Public-Key`.
        timestamp: `X-DES-Timestamp`, letter for letter.
        nonce: `X-DES-Nonce`.
    """
    digest = hashlib.sha256(body).hexdigest().encode()
    texts = [method, public_key, timestamp, nonce]
    parts = [raw_path, query, digest, *(text.encode("utf-8", "surrogatepass") for text in texts)]
    return VERSION.encode() + b"\n" + b"".join(b"%d:%b\n" % (len(part), part) for part in parts)
