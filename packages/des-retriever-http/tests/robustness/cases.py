"""How cases are made: the same ones in every run.

To search further, take `derandomize` out, and run `pytest --hypothesis-seed=N`.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st

fuzz = settings(max_examples=600, derandomize=True, database=None)


def joined(pieces: list[bytes], size: int = 8) -> st.SearchStrategy[bytes]:
    """Some of these pieces, and some bytes that are none of them, in any order."""
    wild = st.binary(max_size=3).map(lambda data: bytes(byte for byte in data if byte not in b"\0\r\n"))
    return st.lists(st.sampled_from(pieces) | wild, max_size=size).map(b"".join)
