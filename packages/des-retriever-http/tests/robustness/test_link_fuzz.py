"""Links and cursors that were changed: none reads what it was not made for."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from .asking import CONTENTS, LOCATOR_KEY, Asked
from .cases import fuzz, joined


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


SHARDS = st.sampled_from([b"0", b"3", b"FFFF", b"", b"-1", b"0x1", b" 1", b"1_0", b"z", b"\xff"])
SHARDS |= st.sampled_from([1, 100, 500]).map(lambda size: b"9" * size)
HEADS = st.binary(max_size=4) | st.sampled_from([b"x" * 500, "ż".encode() * 256, b"x" * 512])
CURSORS = (
    st.lists(SHARDS | HEADS, max_size=4).map(lambda parts: base64.urlsafe_b64encode(b"\0".join(parts)))
    | st.tuples(SHARDS, HEADS, st.binary(min_size=32, max_size=32)).map(
        lambda parts: base64.urlsafe_b64encode(b"\0".join(parts))
    )
    | joined([b"MAAA", b"=", b"A", b"-", b"_", b"%2B", b"%00", b"%ff"])
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
