"""Writers that start from a version of a manifest that is long replaced, with its segments gone."""

from __future__ import annotations

from datetime import datetime, timedelta

from des_format.objects import MemoryObjectStore
from des_format.store import DesStore
from des_format.store.model.manifest import MERGED_SEGMENTS, TAIL_COMMITS


def test_a_writer_that_slept_while_segments_were_merged_and_collected_commits(morning: datetime) -> None:
    objects = MemoryObjectStore()
    busy = DesStore.init(objects, n_bits=0)
    for number in range((TAIL_COMMITS + 1) * MERGED_SEGMENTS - 1):
        busy.put(str(number), morning, b"1")
    sleeper = DesStore.open(objects)
    assert sleeper.exists("0", morning)
    # What it holds is full, so its next commit merges segments, which it does not hold any more.
    sleeper.engine.shards = sleeper.engine.transactions._shards = type(sleeper.engine.shards)(
        sleeper.descriptor.store_id
    )
    busy.put("next", morning, b"1")
    assert busy.gc(min_age=timedelta(0), dry_run=False).deleted_count == MERGED_SEGMENTS
    assert sleeper.put("late", morning, b"2").retries == 1
    assert DesStore.open(objects).get("late", morning) == b"2"
    assert len(DesStore.open(objects).history(f"{morning:%Y%m%d}", 0)) == (TAIL_COMMITS + 1) * MERGED_SEGMENTS + 2
