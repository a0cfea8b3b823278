"""Bring the replicas of zones up to date with their primaries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from des_format.errors import (
    ConflictError,
    DesError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnavailableError,
)
from des_format.ports.objects import ObjectMeta, ObjectStore
from des_format.store.descriptor import read_descriptor
from des_format.store.model.keys import ObjectKind, ShardKey, classify
from des_format.store.reading.shards import Shards
from des_format.store.reading.snapshots import load_history
from des_format.store.sansio.running import Runner

from .copying import check_archive, copy_object, read_tail
from .versions import is_immutable
from .zones import Zone, ZonedObjectStore

__all__ = ["Progress", "SyncFinding", "SyncReport", "sync_zones"]

_MD5 = re.compile(r'"?[0-9a-f]{32}"?\Z')
_ROUNDS = 4
_COMMITTED = (ObjectKind.ARCHIVE, ObjectKind.TOMBSTONES)
_Pair = tuple[ObjectMeta | None, ObjectMeta | None]

Progress = Callable[["SyncReport"], object]
"""Is called after each object of a primary, and each that only a replica has, with the report so far."""


@dataclass(frozen=True, slots=True)
class SyncFinding:
    """An object that is not the same in a zone's primary and in a replica.

    Attributes:
        zone: The zone's name.
        replica: The replica's name.
        key: The object's key; empty where the place as a whole is concerned.
        size: Its bytes; 0 where that is not known.
        kind: `missing` in the replica, `differs` there, `extra` for one that only the replica has, `failed` for one
            that could not be compared or copied.
        done: Whether it was mended.
        why: What was found.
    """

    zone: str
    replica: str
    key: str
    size: int
    kind: Literal["missing", "differs", "extra", "failed"]
    done: bool
    why: str


@dataclass(slots=True)
class SyncReport:
    """What `sync_zones` found and did.

    Attributes:
        findings: What is not the same.
        compared_count: Objects of primaries that were compared, once for each replica.
        copied_count: Objects that were copied.
        copied_bytes: Their bytes.
    """

    findings: list[SyncFinding] = field(default_factory=list)
    compared_count: int = 0
    copied_count: int = 0
    copied_bytes: int = 0

    @property
    def ok(self) -> bool:
        """Whether primaries and replicas are the same now."""
        return all(finding.done for finding in self.findings)


def sync_zones(
    zoned: ZonedObjectStore, *, dry_run: bool = True, restore: bool = False, progress: Progress | None = None
) -> SyncReport:
    """Copy to replicas what they lack, or have in another version than the primary.

    Objects that never change are compared by size, archives by their footers as well; all others byte by byte. An
    archive whose footer does not fit, and a big file whose name does not, is copied nowhere. In a primary, nothing is
    ever deleted or replaced; in a replica, nothing is deleted but a copy whose original was deleted meanwhile. Commits
    may go on: a manifest that changes meanwhile is copied again.

    Args:
        zoned: The zones.
        dry_run: Only look.
        restore: Also copy to a primary what only a replica has.
        progress: Is told how far it is.

    Returns:
        What was found. A place that does not answer is a finding of kind `failed`; the others are seen to.
    """
    report = SyncReport()
    for zone in zoned.zones:
        for replica in zone.replicas:
            sync = _Sync(zone, replica.name, replica.store, report, progress or (lambda _report: None))
            try:
                sync.run(dry_run=dry_run, restore=restore)
            except UnavailableError as error:
                sync.found("", 0, "failed", str(error))
    return report


class _Sync:
    """One replica of one zone."""

    def __init__(self, zone: Zone, name: str, replica: ObjectStore, report: SyncReport, progress: Progress) -> None:
        self._zone = zone
        self._name = name
        self._primary: ObjectStore = zone.store
        self._replica = replica
        self._report = report
        self._progress = progress

    def found(
        self,
        key: str,
        size: int,
        kind: Literal["missing", "differs", "extra", "failed"],
        why: str,
        *,
        done: bool = False,
    ) -> None:
        self._report.findings.append(SyncFinding(self._zone.name, self._name, key, size, kind, done, why))

    def run(self, *, dry_run: bool, restore: bool) -> None:
        later: list[_Pair] = []
        for pair in _side_by_side(_rows(self._primary), _rows(self._replica)):
            if is_immutable(_either(pair)["path"]):
                self._see_to_pair(pair, dry_run=dry_run, restore=restore)
            else:
                later.append(pair)
        # A manifest comes after what it names.
        for pair in later:
            self._see_to_pair(pair, dry_run=dry_run, restore=restore)

    def _see_to_pair(self, pair: _Pair, *, dry_run: bool, restore: bool) -> None:
        original, copy = pair
        try:
            if original is not None:
                self._report.compared_count += 1
                self._see_to(original, copy, dry_run=dry_run)
            elif copy is not None:
                self._see_to_extra(copy, write=restore and not dry_run)
        except UnavailableError:
            raise
        except DesError as error:
            self.found(_either(pair)["path"], _either(pair)["size"], "failed", str(error))
        self._progress(self._report)

    # -- what the primary has ---------------------------------------------------------------

    def _see_to(self, original: ObjectMeta, copy: ObjectMeta | None, *, dry_run: bool) -> None:
        key, size = original["path"], original["size"]
        try:
            why = "the replica lacks it" if copy is None else self._difference(original, copy)
            if not why:
                return
            if not dry_run:
                self._copy(original)
        except ObjectNotFoundError:
            return  # It was deleted meanwhile, and so it is from the replica.
        if not dry_run:
            self._count(size)
        self.found(key, size, "missing" if copy is None else "differs", why, done=not dry_run)

    def _difference(self, original: ObjectMeta, copy: ObjectMeta) -> str:
        """How a copy differs from the original; empty if it does not."""
        key = original["path"]
        if original["size"] != copy["size"]:
            return f"{copy['size']} bytes in the replica, {original['size']} in the primary"
        tag = original["e_tag"]
        if tag is not None and tag == copy["e_tag"] and _MD5.match(tag):
            return ""
        if not is_immutable(key):
            same = _content(self._primary, key) == _content(self._replica, key)
            return "" if same else "another version in the replica"
        if key.endswith(".des"):
            same = read_tail(self._primary, key) == read_tail(self._replica, key)
            return "" if same else "another footer in the replica"
        return ""

    def _copy(self, original: ObjectMeta) -> None:
        """Copy what the primary has, until it is still that afterwards."""
        key = original["path"]
        for _ in range(_ROUNDS):
            try:
                copy_object(self._primary, self._replica, original)
            except ObjectChangedError:
                original = self._primary.head(key)
                continue
            try:
                now = self._primary.head(key)
            except ObjectNotFoundError:
                self._replica.delete(key)
                raise
            if now["e_tag"] == original["e_tag"]:
                break
            original = now
        else:
            raise ObjectChangedError(f"object {key!r} changed {_ROUNDS} times while it was copied")
        check_archive(self._replica, self._replica.head(key))

    def _count(self, size: int) -> None:
        self._report.copied_count += 1
        self._report.copied_bytes += size

    # -- what only the replica has ----------------------------------------------------------

    def _see_to_extra(self, copy: ObjectMeta, *, write: bool) -> None:
        key, size = copy["path"], copy["size"]
        try:
            self._primary.head(key)
            return  # It was written since the primary was listed.
        except ObjectNotFoundError:
            pass
        try:
            copy = self._replica.head(key)
            if write:
                self._refuse_older(key)
                copy_object(self._replica, self._primary, copy, "create")
                self._count(size)
        except (ObjectNotFoundError, ObjectExistsError):
            return  # Others delete or write it right now.
        self.found(key, size, "extra", "the primary lacks it", done=write)

    def _refuse_older(self, key: str) -> None:
        """See that a manifest knows every archive and every record of a deletion of its shard.

        With an older one, `gc` would take for garbage what was committed since.

        Raises:
            ConflictError: It does not.
        """
        known = classify(key)
        if known is None or known.kind is not ObjectKind.MANIFEST:
            return
        where = ShardKey(known.day, known.shard)
        run = Runner(self._replica).run
        shard, commits = run(load_history(Shards(run(read_descriptor()).store_id), where))
        ids = {row.id for commit in commits for row in commit.added} | shard.state.released | set(shard.state.condemned)
        ids |= {tombstone.record for commit in commits for tombstone in commit.tombstones}
        for store in [self._primary, *(replica.store for replica in self._zone.replicas)]:
            for found in (classify(meta["path"]) for page in store.list(where.day) for meta in page):
                if found is None or found.shard != where.shard or found.kind not in _COMMITTED or found.id in ids:
                    continue
                raise ConflictError(
                    f"{key} of {self._name} knows nothing of {found.kind.value} {found.id}, so it may be older than the"
                    " one that was lost: `des store rebuild` makes one of the archives"
                )


def _either(pair: _Pair) -> ObjectMeta:
    found = pair[0] if pair[0] is not None else pair[1]
    assert found is not None
    return found


def _content(store: ObjectStore, key: str) -> bytes:
    return bytes(store.get(key).buffer())


def _rows(store: ObjectStore) -> Iterator[ObjectMeta]:
    """All objects, in the order of keys, without those by which conditional writes are proved."""
    rows = (meta for page in store.list() for meta in page if not meta["path"].startswith("des-probe-"))
    if getattr(store, "lists_in_order", False):
        return rows
    return iter(sorted(rows, key=lambda meta: meta["path"]))


def _side_by_side(originals: Iterator[ObjectMeta], copies: Iterator[ObjectMeta]) -> Iterator[_Pair]:
    """Pair what two listings have under the same key."""
    original, copy = next(originals, None), next(copies, None)
    while original is not None or copy is not None:
        if copy is None or (original is not None and original["path"] < copy["path"]):
            yield original, None
            original = next(originals, None)
        elif original is None or copy["path"] < original["path"]:
            yield None, copy
            copy = next(copies, None)
        else:
            yield original, copy
            original, copy = next(originals, None), next(copies, None)
