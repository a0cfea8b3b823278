"""`/days` and `GET /files`."""

from __future__ import annotations

import httpx
import pytest
from des_format.store import DesStore, NewEntry

from .times import MORNING

DAY = "20251125"


@pytest.fixture
def names(store: DesStore) -> list[str]:
    """The names of entries in several shards and archives."""
    names = [f"file-{number:03}" for number in range(40)]
    for part in (names[:25], names[25:]):
        store.put_many([NewEntry(name, MORNING, name.encode()) for name in part])
    store.put("gone", MORNING, b"x")
    store.delete("gone", MORNING, reason="GDPR", by="me")
    return names


async def pages(client: httpx.AsyncClient, **params: str | int) -> list[list[dict[str, object]]]:
    found, cursor = [], ""
    while True:
        answer = await client.get("/files", params={"day": DAY, **params, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["entries"])
        cursor = answer.json()["next"]
        if cursor is None:
            return found


async def test_days_shards_and_archives(client: httpx.AsyncClient, store: DesStore, names: list[str]) -> None:
    assert (await client.get("/days")).json() == {"days": [DAY]}
    shards = (await client.get(f"/days/{DAY}/shards")).json()["shards"]
    assert shards == store.shards(DAY)
    for shard in shards:
        archives = (await client.get(f"/days/{DAY}/shards/{shard}/archives")).json()["archives"]
        assert [archive["archive_id"] for archive in archives] == [row.id for row in store.archives(DAY, shard)]
    assert (await client.get("/days/20010101/shards")).json() == {"shards": []}


@pytest.mark.parametrize("limit", [1, 7, 40, 1000])
async def test_pages_hold_every_file_once(client: httpx.AsyncClient, names: list[str], limit: int) -> None:
    found = await pages(client, limit=limit)
    listed = [entry["uid"] for page in found for entry in page]
    assert sorted(map(str, listed)) == names
    assert all(len(page) == limit for page in found[:-1])


async def test_pages_may_end_with_a_long_uid(client: httpx.AsyncClient, store: DesStore) -> None:
    names = ["ż" * 1000 + str(number) for number in range(5)]
    store.put_many([NewEntry(name, MORNING, b"x") for name in names])
    listed = [str(entry["uid"]) for page in await pages(client, limit=1) for entry in page]
    assert sorted(listed) == names


@pytest.mark.parametrize("size", [511, 512, 513, 2045, 2048, 2300, 65_530])
@pytest.mark.parametrize("character", ["a", "\x01", '"', "ż", "𝄞"])
async def test_pages_go_on_behind_uids_of_any_length(
    client: httpx.AsyncClient, store: DesStore, size: int, character: str
) -> None:
    same = character * (size // len(character.encode()))
    names = [same, *(same + ending for ending in "0189"), same[:-1] + "z", "before", "zzz"]
    store.put_many([NewEntry(name, MORNING, b"x") for name in names])
    for more in ({}, {"prefix": same[:100]}):
        listed = [str(entry["uid"]) for page in await pages(client, limit=1, **more) for entry in page]
        assert sorted(listed) == sorted(name for name in names if name.startswith(more.get("prefix", "")))


async def test_the_longest_prefix_leaves_room_for_a_cursor(client: httpx.AsyncClient, store: DesStore) -> None:
    names = ["ż" * 511 + str(number) * 2000 for number in range(3)]
    store.put_many([NewEntry(name, MORNING, b"x") for name in names])
    first = await client.get("/files", params={"day": DAY, "limit": 1, "prefix": "ż" * 511})
    params = {"day": DAY, "shard": "00", "limit": 1000, "prefix": "ż" * 511, "cursor": first.json()["next"]}
    assert len(str(httpx.QueryParams(params))) < 4096


async def test_a_long_uid_that_is_gone_is_no_place_to_go_on_from(client: httpx.AsyncClient, store: DesStore) -> None:
    names = ["a" * 600 + str(number) for number in range(3)]
    store.put_many([NewEntry(name, MORNING, b"x") for name in names])
    first = (await client.get("/files", params={"day": DAY, "limit": 1})).json()
    store.delete(first["entries"][0]["uid"], MORNING, reason="GDPR", by="me")
    answer = await client.get("/files", params={"day": DAY, "limit": 1, "cursor": first["next"]})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_of_a_shard_and_with_a_prefix(client: httpx.AsyncClient, store: DesStore, names: list[str]) -> None:
    shard = store.shards(DAY)[0]
    of_shard = [stored.entry.name for stored in store.list(DAY, shard)]
    assert [entry["uid"] for page in await pages(client, shard=shard, limit=1) for entry in page] == of_shard
    with_prefix = [entry["uid"] for page in await pages(client, prefix="file-01") for entry in page]
    assert sorted(map(str, with_prefix)) == names[10:20]


async def test_what_is_added_between_pages_disturbs_nothing_that_was_there(
    client: httpx.AsyncClient, store: DesStore, names: list[str]
) -> None:
    first = (await client.get("/files", params={"day": DAY, "limit": 20})).json()
    store.put_many([NewEntry(f"new-{number}", MORNING, b"x") for number in range(30)])
    rest, cursor = [], first["next"]
    while cursor is not None:
        page = (await client.get("/files", params={"day": DAY, "limit": 20, "cursor": cursor})).json()
        rest += page["entries"]
        cursor = page["next"]
    listed = [entry["uid"] for entry in [*first["entries"], *rest]]
    assert len(listed) == len(set(listed))
    assert set(names) <= set(listed)


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({}, 422),
        ({"day": "yesterday"}, 422),
        ({"day": "20251340"}, 400),
        ({"day": DAY, "limit": 0}, 422),
        ({"day": DAY, "limit": 1001}, 422),
        ({"day": DAY, "cursor": "x"}, 400),
        ({"day": DAY, "cursor": "WzEsMl0="}, 400),
        ({"day": DAY, "cursor": "bnVsbA=="}, 400),
        ({"day": DAY, "cursor": "enoAYQA="}, 400),
        ({"day": DAY, "cursor": "ż"}, 400),
        ({"day": DAY, "shard": "zz"}, 422),
    ],
)
async def test_malformed_listings_are_refused(
    client: httpx.AsyncClient, names: list[str], params: dict[str, str | int], status: int
) -> None:
    answer = await client.get("/files", params=params)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
