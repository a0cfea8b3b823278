"""Headers that nobody would send: never an error of the service, nor a byte that is not where it says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .asking import BIG, CONTENTS, EMPTY, PLAIN, ZSTD, Asked
from .cases import fuzz, joined

NUMBERS = [0, 1, 2, 4999, 5000, 5001, 65536, 99_999, 100_000, 299_999, 300_000, 2**63, 2**64, 10**18, 10**19, 10**40]
RANGES = [b"bytes", b"Bytes", b"=", b"-", b"-", b",", b" ", b"\t", b"\xb2", b"+", b"bits", b"0x1", b"1e3", b"--", b"_"]
ETAGS = [b'"', b"W/", b"*", b",", b" ", b'"x"', b'W/"x"', b"{etag}", b"{etag}", b"\\", b'"\xff"', b"w/"]
DATES = [
    *(b"{date}", b"Thu, 01 Jan 1970 00:00:00 GMT", b"Fri, 31 Dec 9999 23:59:59 GMT", b"Mon, 32 Foo 2025 25:61:61 GMT"),
    *(
        b"Tue, 25 Nov 99999999 08:00:00 GMT",
        b"Tue, 25 Nov 2025 08:00:00 +9999",
        b"0",
        b"-1",
        b"\xb2",
        b"{etag}",
        b"GMT",
    ),
]
CODINGS = [b"zstd", b"gzip", b"*", b"identity", b";", b"q=", b"0", b"1", b"0.000", b",", b" ", b"nan", b"ZSTD", b";;"]


def ranges() -> st.SearchStrategy[bytes]:
    numbers = [b"%d" % number for number in NUMBERS]
    near = st.integers(0, 5001) | st.integers(0, 300_001)
    pair = st.tuples(near, near).map(lambda two: b"%d-%d" % (min(two), max(two)))
    suffix = near.map(lambda size: b"-%d" % size)
    regular = st.lists(pair | suffix, min_size=1, max_size=4).map(lambda specs: b"bytes=" + b",".join(specs))
    return (
        regular | joined([*RANGES, *numbers], 12) | joined([*RANGES, *numbers], 12).map(lambda spec: b"bytes=" + spec)
    )


CONDITIONS = {
    b"if-match": joined(ETAGS, 5),
    b"if-none-match": joined(ETAGS, 5),
    b"if-modified-since": st.sampled_from(DATES) | joined(DATES, 3),
    b"if-unmodified-since": st.sampled_from(DATES) | joined(DATES, 3),
}
OF_PARTS = {
    b"range": ranges(),
    b"if-range": st.sampled_from([b"{etag}", b"{date}"]) | joined(ETAGS, 3) | st.sampled_from(DATES),
    b"accept-encoding": joined(CODINGS),
    b"cache-control": joined([b"no-cache", b",", b"NO-CACHE", b"="], 3),
}
HEADERS = (
    st.fixed_dictionaries({}, optional=OF_PARTS)
    | st.fixed_dictionaries({b"range": OF_PARTS[b"range"]})
    | st.fixed_dictionaries({b"range": OF_PARTS[b"range"], b"if-range": OF_PARTS[b"if-range"]})
    | st.fixed_dictionaries({}, optional={**OF_PARTS, **CONDITIONS})
)


@settings(fuzz, max_examples=1200)
@given(uid=st.sampled_from([PLAIN, ZSTD, BIG, EMPTY]), headers=HEADERS, method=st.sampled_from(["GET", "GET", "HEAD"]))
def test_any_headers(asked: Asked, uid: str, headers: dict[bytes, bytes], method: str) -> None:
    path = b"/files/" + uid.encode()
    known = asked.ask(path, method="HEAD").headers
    places = {b"{etag}": known[b"etag"], b"{date}": known[b"last-modified"]}
    for place, text in places.items():
        headers = {name: value.replace(place, text) for name, value in headers.items()}
    answer = asked.ask(path, headers=headers.items(), method=method)
    assert answer.status in {200, 206, 304, 412, 416}
    if method == "GET":
        answer.shows(CONTENTS[uid])
    else:
        assert answer.body == b"" or answer.status == 412
    caused_by = {304: {b"if-none-match", b"if-modified-since"}, 412: {b"if-match", b"if-unmodified-since"}}
    for status, names in {**caused_by, 206: {b"range"}, 416: {b"range"}}.items():
        assert answer.status != status or names & headers.keys()


OTHERS = [
    *(b"Bearer ", b"Basic ", b"DES-HMAC-SHA256 ", b"a.b.c", b"=", b",", b"e30.e30.e30", b"\xff", b"{}", b"None", b"0"),
    *(
        b"application/openmetrics-text",
        b"version=",
        b"1.0.0",
        b"x",
        b";",
        b"q=",
        b"text/plain",
        b"*/*",
        b"gzip",
        b"9" * 5000,
    ),
]
NAMES = [
    *(b"authorization", b"x-api-key", b"accept", b"x-request-id", b"traceparent", b"content-length", b"content-type"),
    *(
        b"x-forwarded-for",
        b"forwarded",
        b"host",
        b"connection",
        b"expect",
        b"upgrade",
        b"cookie",
        b"origin",
        b"te",
        b"x" * 99,
    ),
]
ROUTES = [
    *(
        b"/files/a",
        b"/files/a/meta",
        b"/files/a/history",
        b"/files",
        b"/days",
        b"/metrics",
        b"/health/ready",
        b"/stats/live",
    ),
    *(b"/openapi.json", b"/ui/", b"/locators/x", b"/batch"),
]


@fuzz
@given(
    path=st.sampled_from(ROUTES),
    headers=st.dictionaries(st.sampled_from(NAMES), joined(OTHERS, 4), max_size=4),
    method=st.sampled_from(["GET", "HEAD", "DELETE", "POST"]),
)
def test_any_other_headers(asked: Asked, path: bytes, headers: dict[bytes, bytes], method: str) -> None:
    answer = asked.ask(path, headers=headers.items(), method=method)
    assert method != "DELETE" or answer.status >= 400


@pytest.mark.parametrize("name", NAMES)
def test_every_other_header_with_every_value(asked: Asked, name: bytes) -> None:
    for path in ROUTES:
        for value in OTHERS:
            asked.ask(path, headers=[(name, value)])
