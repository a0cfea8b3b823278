"""Paths, times and queries that nobody would send: never an error of the service, nor a byte of another file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from random import Random
from urllib.parse import unquote, unquote_to_bytes

from hypothesis import example, given
from hypothesis import strategies as st

from .asking import AT, CONTENTS, Asked
from .cases import fuzz, joined

SUB_RESOURCES = ["meta", "locator", "retention-policy", "history"]

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
