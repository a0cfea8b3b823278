"""Files of all kinds for the console to show, hostile ones among them."""

from __future__ import annotations

import random
import struct
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from des_format.store import DesStore, NewEntry

AT = datetime(2025, 11, 25, 8, tzinfo=UTC)
DAY = "2025-11-25"
HTML = b'<script>document.title = "run"; fetch("https://other.example/")</script><img src="https://other.example/x">'
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="document.title=1"><script>document.title = "run"</script></svg>'
JSON = b'{"id":12345678901234567890,"price":1.10,"a":1,"a":[],"text":"\\u00e9 {<b>,}","deep":[{"x":null}]}'
MARKUP_NAME = "<img src=x onerror=\"document.title='run'\">"
BIDI_NAME = "invoice\u202egnp.exe"
LONG_NAME = "long-" + "x" * 300
PATH_NAME = "../../etc/passwd?created_at=1#x%2F y"


def png(width: int = 320, height: int = 200) -> bytes:
    rows = b"".join(
        b"\0" + bytes(value for x in range(width) for value in (x * 255 // width, y * 255 // height, 150))
        for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pdf(text: str = "Lease agreement") -> bytes:
    drawn = f"BT /F 20 Tf 60 300 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 420 380]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    data, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 6\n0000000000 65535 f \n" + table + b"trailer<</Size 6/Root 1 0 R>>\n"
    return data + head + b"startxref\n%d\n%%%%EOF\n" % len(data)


def wav(seconds: int) -> bytes:
    """Noise, which does not compress: 16 KB for each second."""
    data = random.Random(1).randbytes(16000 * seconds)
    form = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + (b"data" + struct.pack("<I", len(data)) + data)
    )


FILES: dict[str, tuple[bytes, dict[str, Any] | None]] = {
    "letter.txt": (
        "Dear archive,\n\nplease keep this — with “quotes”, ünïcödé and a\ttab.\n".encode(),
        {"content_type": "text/plain; charset=utf-8", "department": "Registry", "case": {"number": 17, "open": True}},
    ),
    "order.json": (JSON, {"content_type": "application/json"}),
    "scan-7.png": (png(), {"content_type": "image/png"}),
    "lease.pdf": (pdf(), {"content_type": "application/pdf", "signed_by": "Ada Lovelace"}),
    "noise.wav": (wav(600), {"content_type": "audio/wav"}),
    "page.html": (HTML, {"content_type": "text/html"}),
    "image.svg": (SVG, {"content_type": "image/svg+xml"}),
    "liar.png": (HTML, {"content_type": "image/png"}),
    "cut.png": (png()[:20], {"content_type": "image/png"}),
    "long.txt": (b"line\n" * 100_000 + b"the end", {"content_type": "text/plain"}),
    "latin.txt": ("café".encode("latin-1"), {"content_type": "text/plain; charset=iso-8859-1"}),
    "octets": (bytes(range(256)) * 2, None),
    "empty": (b"", None),
    MARKUP_NAME: (b"named badly", {"<b>key</b>": "<i>value</i>", "content_type": "text/plain"}),
    BIDI_NAME: (b"MZ\x00\x01", None),
    PATH_NAME: (b"a path", {"content_type": "text/plain"}),
    "to-delete.txt": (b"to be deleted", {"content_type": "text/plain"}),
    "to-delete-with-a-key.txt": (b"to be deleted too", {"content_type": "text/plain"}),
    LONG_NAME: (b"a long name", {"content_type": "text/plain", "k" * 200: "v" * 500}),
    "a/meta": (b"named like a sub-resource", {"content_type": "text/plain"}),
}
PAGED = 120
"""So many files more have names that begin with `invoice/2025/`."""


def fill(folder: Path) -> DesStore:
    """Make a store of four shards a day with all of them, and a few days before."""
    store = DesStore.init(folder, n_bits=2)
    named = [(uid, AT, data, meta) for uid, (data, meta) in FILES.items()]
    paged = [(f"invoice/2025/{n:05d}", AT, b"invoice %d" % n, {"content_type": "text/plain"}) for n in range(PAGED)]
    older = [(f"of-{days}-days-ago", AT - timedelta(days=days), b"older", None) for days in range(1, 60, 4)]
    store.put_many([NewEntry(*one) for one in named + paged + older])
    return store
