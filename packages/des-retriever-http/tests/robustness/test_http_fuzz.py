"""Requests that nobody would send: never an error of the service, nor a byte of another file than the one asked for.

The cases are the same in every run. To search further: `pytest --hypothesis-seed=random`, without `derandomize`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from .asking import AT, BIG, CONTENTS, EMPTY, LOCATOR_KEY, PLAIN, ZSTD, Asked

SUB_RESOURCES = ["meta", "locator", "retention-policy", "history"]

fuzz = settings(max_examples=600, derandomize=True, database=None)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with Asked(tmp_path_factory.mktemp("fuzz") / "store") as asked:
        yield asked


def joined(pieces: list[bytes], size: int = 8) -> st.SearchStrategy[bytes]:
    """Some of these pieces, and some bytes that are none of them, in any order."""
    wild = st.binary(max_size=3).map(lambda data: bytes(byte for byte in data if byte not in b"\0\r\n"))
    return st.lists(st.sampled_from(pieces) | wild, max_size=size).map(b"".join)


# -- paths --------------------------------------------------------------------------------------

PATHS = [
    *(b"/", b"//", b"/files/", b"/files", b"/locators/", b"/days/", b"/shards", b"/archives", b"/ui/", b"/%66iles/"),
    *(b"%2F", b"%2f", b"%252F", b"..", b".", b"%2e", b"%2E%2e", b"%00", b"%", b"%z", b"%ff", b"%c0%af", b"%c0%ae"),
    *(b"%ed%a0%80", b"%f4%90%80%80", b"%e2%98%83", b"%EF%BB%BF", b"\\", b"%5c", b";", b"%0d%0a", b"%0A", b"+", b"%20"),
    *(
        b"a",
        b"b",
        b"%61",
        b"%2561",
        b"/meta",
        b"%2Fmeta",
        b"/locator",
        b"/history",
        b"meta",
        b"etc/passwd",
        b"x" * 2100,
    ),
    *(b"20251125", b"00000000", b"\xd9\xa1", b"0", b"FFFF", b"index.html", b"metrics", b"openapi.json", b"health/live"),
]
STARTS = [b"/files/", b"/files/", b"/files/", b"/files/a", b"/files/a/", b"/%66iles/", b"/", b"/locators/", b"/days/"]
METHODS = ["GET", "GET", "GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "TRACE", "get", "X"]


def uid_of(raw: bytes) -> str | None:
    """The uid of the file that a path names, or None: what the guide says, once more."""
    if raw.startswith(b"/files/"):
        rest = raw.removeprefix(b"/files/")
        before, _, last = rest.rpartition(b"/")
        if before and last.decode("latin-1") in SUB_RESOURCES:
            return None
        return unquote_to_bytes(rest).decode(errors="strict")
    path = unquote(raw.decode("latin-1"))
    return path.removeprefix("/files/") if path.startswith("/files/") else None


@fuzz
@given(raw=st.tuples(st.sampled_from(STARTS), joined(PATHS)).map(b"".join), method=st.sampled_from(METHODS))
@example(raw=b"/files/", method="GET")
@example(raw=b"/files/%00", method="GET")
@example(raw=b"/files/..%2f..%2fetc%2fpasswd", method="GET")
def test_any_path(asked: Asked, raw: bytes, method: str) -> None:
    answer = asked.ask(raw, method=method)
    if method == "GET" and answer.status == 200 and unquote(raw.decode("latin-1")).startswith("/files/"):
        uid = uid_of(raw)
        assert answer.json()["uid"] in CONTENTS if uid is None else answer.body == CONTENTS[uid]


def encoded(uid: str, dice: Random) -> bytes:
    """One of many ways in which a client may write a uid into a path."""
    out = b""
    *before, last = uid.split("/")
    for number, part in enumerate([*before, last]):
        if number:
            is_ambiguous = number == len(before) and last in SUB_RESOURCES
            out += b"/" if dice.random() < 0.5 and not is_ambiguous else dice.choice([b"%2F", b"%2f"])
        for byte in part.encode():
            is_plain = chr(byte).isascii() and (chr(byte).isalnum() or byte in b"-._~!$&'()*+,;=:@")
            out += bytes([byte]) if is_plain and dice.random() < 0.7 else dice.choice([b"%%%02x", b"%%%02X"]) % byte
    return out


@fuzz
@given(uid=st.sampled_from(sorted(CONTENTS)), dice=st.randoms(use_true_random=False))
def test_every_uid_in_any_writing(asked: Asked, uid: str, dice: Random) -> None:
    path = b"/files/" + encoded(uid, dice)
    answer = asked.ask(path)
    assert answer.status == 200
    assert answer.body == CONTENTS[uid]
    meta = asked.ask(path + b"/meta").json()
    assert (meta["uid"], meta["size"]) == (uid, len(CONTENTS[uid]))
    assert asked.ask(path + b"/history").json()["uid"] == uid


# -- headers ------------------------------------------------------------------------------------

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


# -- queries ------------------------------------------------------------------------------------

TIMES = [
    *(
        "2025-11-25",
        "20251125",
        "2025-W48-2",
        "T",
        "t",
        " ",
        "08:00:00",
        "08",
        "24:00",
        "23:59:60",
        "Z",
        "z",
        "+00:00",
        "+",
    ),
    *(
        "-23:59",
        "+14:00",
        "+99:99",
        ".1",
        ",123456789",
        "0000",
        "0001-01-01",
        "9999-12-31",
        "-",
        "−",
        "٢",
        "\0",
        "é",
        "None",
    ),
]
QUERIES = [
    *(
        AT,
        b"created_at=",
        b"created_at",
        b"2025-11-25T08:00:00Z",
        b"&",
        b"&",
        b";",
        b"=",
        b"%",
        b"%ff",
        b"%00",
        b"+",
        b"?",
    ),
    *(
        b"download=",
        b"true",
        b"1",
        b"day=20251125",
        b"day=",
        b"shard=",
        b"0",
        b"FFFF",
        b"prefix=",
        b"a",
        b"%E2%98%83",
        b"&" * 99,
    ),
    *(
        b"limit=",
        b"1000",
        b"-1",
        b"1e3",
        b"cursor=",
        b"W10=",
        b"reason=GDPR",
        b"deleted_by=",
        b"ttl_seconds=",
        b"9" * 4400,
    ),
]


def times() -> st.SearchStrategy[str]:
    """Texts of times, right and nearly so, of the day that has files and of others."""
    noon = datetime(2025, 11, 25, 12)  # noqa: DTZ001  # a zone comes later
    hours = st.integers(-36 * 3600, 36 * 3600).map(lambda seconds: noon + timedelta(seconds=seconds))
    day = hours | st.datetimes()
    zone = st.timezones() | st.just(UTC) | st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))
    right = st.tuples(day, zone).map(lambda one: one[0].replace(tzinfo=one[1]).isoformat())
    changed = st.tuples(right, st.integers(0, 30), st.sampled_from(TIMES)).map(
        lambda one: one[0][: one[1]] + one[2] + one[0][one[1] + 1 :]
    )
    return right | changed | st.lists(st.sampled_from(TIMES) | st.text(max_size=2), max_size=6).map("".join)


@fuzz
@given(text=times())
@example(text="0001-01-01T00:00:00+14:00")
@example(text="9999-12-31T23:59:59-14:00")
def test_any_time(asked: Asked, text: str) -> None:
    written = "".join(f"%{byte:02X}" for byte in text.encode(errors="surrogatepass")).encode()
    answer = asked.ask(b"/files/a", b"created_at=" + written)
    if answer.status == 200:
        assert answer.body == CONTENTS["a"]
        assert datetime.fromisoformat(text).astimezone(UTC).strftime("%Y%m%d") == "20251125"
    else:
        assert answer.status in {400, 404}


@fuzz
@given(
    path=st.sampled_from([b"/files/a", b"/files/a/meta", b"/files/a/locator", b"/files", b"/days/20251125/shards"]),
    query=joined(QUERIES, 10),
    method=st.sampled_from(["GET", "GET", "HEAD", "POST", "DELETE"]),
)
def test_any_query(asked: Asked, path: bytes, query: bytes, method: str) -> None:
    answer = asked.ask(path, query, method=method)
    if path == b"/files/a" and method == "GET" and answer.status == 200:
        assert answer.body == CONTENTS["a"]
    assert method != "DELETE" or answer.status >= 400


# -- tokens and cursors -------------------------------------------------------------------------


def unpadded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def test_no_bit_of_a_link_can_be_changed(asked: Asked) -> None:
    for token, uid in zip(asked.tokens, ("a", "b"), strict=True):
        assert asked.ask(f"/locators/{token}".encode()).body == CONTENTS[uid]
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        for bit in range(8 * len(data)):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            assert asked.ask(b"/locators/" + unpadded(bytes(changed))).status == 403


@fuzz
@given(data=st.data())
def test_any_link(asked: Asked, data: st.DataObject) -> None:
    first, second = asked.tokens
    at = data.draw(st.integers(0, len(first)))
    spliced = [first[:at] + second[at:], first[:at], first[at:], first[:at] + first, first.swapcase(), asked.unsigned]
    padded = [first + "=", first + "A", "A" + first, first + "/", first + "%00", first + "%0A", " " + first, first * 50]
    written = data.draw(st.sampled_from([*spliced, *padded]).map(str.encode) | joined([b"A", b"_", b"=", b"%2e", b"/"]))
    answer = asked.ask(b"/locators/" + written)
    if written.decode("latin-1") in asked.tokens:
        answer.shows(CONTENTS["ab"[asked.tokens.index(written.decode())]])
    else:
        assert answer.status in {403, 404}


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4) | st.sampled_from(["0", "3", "FFFF"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=5,
)
LENGTHS = [1, 100, 900, 1000, 1100, 2200, 2300]
CURSORS = (
    JSON.map(lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()))
    | st.tuples(JSON, JSON).map(lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()))
    | st.sampled_from(LENGTHS).map(lambda depth: base64.urlsafe_b64encode(b"[" * depth))
    | st.sampled_from(LENGTHS).map(lambda size: base64.urlsafe_b64encode(b'["%b","a"]' % (b"0" * size)))
    | st.sampled_from(LENGTHS).map(lambda size: base64.urlsafe_b64encode(b'[%b,"a"]' % (b"9" * size)))
    | joined([b"W10", b"=", b"A", b"-", b"_", b"%2B", b"%00", b"%ff"])
)


@fuzz
@given(cursor=CURSORS, change=st.none() | st.integers(0, 200))
def test_any_cursor(asked: Asked, cursor: bytes, change: int | None) -> None:
    page: dict[str, Any] = asked.ask(b"/files", b"day=20251125&limit=3").json()
    if change is not None:
        changed = bytearray(base64.urlsafe_b64decode(page["next"]))
        changed[change // 8 % len(changed)] ^= 1 << change % 8
        cursor = base64.urlsafe_b64encode(changed)
    answer = asked.ask(b"/files", b"day=20251125&limit=1000&cursor=" + cursor)
    assert answer.status in {200, 400, 414, 422}
    if answer.status == 200:
        assert {entry["uid"] for entry in answer.json()["entries"]} <= CONTENTS.keys()


def test_a_link_of_another_key_is_refused(asked: Asked) -> None:
    assert LOCATOR_KEY.encode() not in asked.ask(b"/openapi.json").body
    assert asked.ask(b"/locators/" + asked.unsigned.encode()).status == 403
