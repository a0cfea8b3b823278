"""Whether a manifest and its history agree with themselves. Pure.

Source: docs/store-format.md, section "Manifest".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from .commits import Commit, Operation
from .manifest import Manifest, SegmentRef
from .state import ShardState

__all__ = ["history_problems", "manifest_problems", "segment_problems"]


def manifest_problems(manifest: Manifest) -> Iterator[str]:
    """What contradicts itself in the manifest object."""
    if manifest.horizon > manifest.sequence:
        yield f"its horizon {manifest.horizon} lies after its last commit {manifest.sequence}"
    refs = manifest.segments
    if len({ref.id for ref in refs}) < len(refs):
        yield "it names a segment twice"
    for before, ref in pairwise(refs):
        if ref.first != before.last + 1:
            yield f"segment {ref.id} begins at commit {ref.first}, the one before it ends at {before.last}"
    own = manifest.own_commits()
    last = own[-1].sequence if own else refs[-1].last if refs else 0
    if last != manifest.sequence:
        yield f"its last commit is {last}, it says {manifest.sequence}"


def segment_problems(ref: SegmentRef, commits: Sequence[Commit]) -> Iterator[str]:
    """Where a segment is not what its reference says."""
    has_base = bool(commits) and commits[0].operation is Operation.BASE
    found = (commits[0].sequence + has_base, commits[-1].sequence, has_base) if commits else (0, 0, False)
    stated = (ref.first, ref.last, ref.has_base)
    if found != stated:
        yield f"it holds commits (first, last, has a base) {found}, the manifest says {stated}"


def history_problems(commits: Sequence[Commit], horizon: int) -> Iterator[str]:
    """What contradicts itself in all commits since the horizon, in order, with the bases between them."""
    state = ShardState()
    for number, commit in enumerate(commits):
        what = f"{'base' if commit.operation is Operation.BASE else 'commit'} {commit.sequence}"
        if number == 0:
            yield from _start_problems(what, commit, horizon)
        elif commit.operation is Operation.BASE:
            yield from _base_problems(what, commit, state)
        elif commit.sequence != state.sequence + 1:
            yield f"{what} follows number {state.sequence}"
        if number and commit.at < state.at:
            yield f"{what} is of {commit.at.isoformat()}, the one before it of {state.at.isoformat()}"
        if commit.operation is not Operation.BASE:
            yield from _change_problems(what, commit, state)
        state.apply(commit)


def _start_problems(what: str, commit: Commit, horizon: int) -> Iterator[str]:
    """History begins at commit 1 or, at the horizon, with all that a state needs."""
    is_whole = commit.operation in (Operation.BASE, Operation.REBUILD)
    if commit.sequence != (horizon or 1) or (horizon and not is_whole):
        yield f"history begins with {what} ({commit.operation}), the horizon is {horizon}"


def _base_problems(what: str, base: Commit, state: ShardState) -> Iterator[str]:
    stated = ShardState()
    stated.apply(base)
    if base.sequence != state.sequence:
        yield f"{what} follows number {state.sequence}"
    for name in ("rows", "tombstones", "condemned", "released"):
        if getattr(stated, name) != getattr(state, name):
            yield f"{what}: its {name} are not what the commits before it add up to"


def _change_problems(what: str, commit: Commit, state: ShardState) -> Iterator[str]:
    for archive_id in commit.removed:
        if archive_id not in state.rows:
            yield f"{what} removes archive {archive_id}, which is not there"
    remaining = state.rows.keys() - set(commit.removed)
    is_rebuild = commit.operation is Operation.REBUILD
    for row in commit.added:
        if row.id in remaining:
            yield f"{what} adds archive {row.id}, which is there already"
        if row.id in state.condemned or row.id in state.released:
            yield f"{what} adds archive {row.id}, which was given up as garbage"
        if row.added != commit.sequence or not 0 < row.order <= commit.sequence or row.purged > commit.sequence:
            yield f"{what} adds archive {row.id} with the numbers of another commit"
        if len(row.big_files) > row.footer.external_count or (row.footer.external_count and not row.big_files):
            yield (
                f"{what}: archive {row.id} has {row.footer.external_count} external entries,"
                f" its row names {len(row.big_files)} big files"
            )
    for tombstone in commit.tombstones:
        if not (0 < tombstone.sequence < commit.sequence if is_rebuild else tombstone.sequence == commit.sequence):
            yield f"{what} deletes {tombstone.uid!r} with number {tombstone.sequence}"
    for archive_id, _at in commit.condemned:
        if archive_id in state.rows:
            yield f"{what} condemns archive {archive_id}, which is visible"
