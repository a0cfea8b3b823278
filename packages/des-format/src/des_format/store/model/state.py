"""What a shard holds after some of its commits: which archives are visible, what is deleted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .commits import ArchiveRow, Commit, Operation, Tombstone

__all__ = ["NO_TIME", "ShardState", "fold"]

NO_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class ShardState:
    """The sum of a shard's commits up to one sequence.

    Attributes:
        sequence: That of the last commit; 0 for none.
        at: The time of the last commit.
        rows: Visible archives by id.
        tombstones: The newest tombstone of each deleted uid.
        condemned: Ids of archives that will never be committed, and since when.
        released: Ids of archives that no history refers to any more, and that were not deleted yet.
    """

    sequence: int = 0
    at: datetime = NO_TIME
    rows: dict[str, ArchiveRow] = field(default_factory=dict)
    tombstones: dict[str, Tombstone] = field(default_factory=dict)
    condemned: dict[str, datetime] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)
    _newest_first: tuple[ArchiveRow, ...] | None = field(default=None, init=False, repr=False, compare=False)

    def copy(self) -> ShardState:
        """Return an independent copy."""
        return ShardState(
            self.sequence, self.at, dict(self.rows), dict(self.tombstones), dict(self.condemned), set(self.released)
        )

    def apply(self, commit: Commit) -> None:
        """Add one commit; a base replaces everything before it."""
        self._newest_first = None
        if commit.operation is Operation.BASE:
            self.rows, self.tombstones, self.condemned, self.released = {}, {}, {}, set()
        self.sequence, self.at = commit.sequence, commit.at
        for archive_id in commit.removed:
            self.rows.pop(archive_id, None)
        for row in commit.added:
            self.rows[row.id] = row
        for tombstone in commit.tombstones:
            self.tombstones[tombstone.uid] = tombstone
        self.condemned.update(commit.condemned)
        self.released.update(commit.released)
        self.released.difference_update(commit.absolved)

    @property
    def weight(self) -> int:
        """How much it takes in a manifest, in archive rows or so."""
        return len(self.rows) + len(self.tombstones) + (len(self.condemned) + len(self.released)) // 8

    def after(self, commits: Iterable[Commit]) -> ShardState:
        """Return the state after some more commits."""
        state = self.copy()
        for commit in commits:
            state.apply(commit)
        return state

    def newest_first(self) -> tuple[ArchiveRow, ...]:
        """The visible archives; an entry of an earlier one hides those of the same name in later ones.

        Sorted once: every read asks for it, and a shard may have thousands. From then on `rows` change by `apply` only.
        """
        if self._newest_first is None:
            rows = sorted(self.rows.values(), key=lambda row: (row.order, row.added, row.id), reverse=True)
            self._newest_first = tuple(rows)
        return self._newest_first

    def hides(self, uid: str, row: ArchiveRow) -> bool:
        """Whether an entry of that name in that archive is deleted."""
        tombstone = self.tombstones.get(uid)
        return tombstone is not None and row.order < tombstone.sequence

    def base(self) -> Commit:
        """The state as the pseudo-commit that later states can start from."""
        return Commit(
            self.sequence,
            self.at,
            "",
            Operation.BASE,
            added=tuple(sorted(self.rows.values(), key=lambda row: row.order)),
            tombstones=tuple(self.tombstones.values()),
            condemned=tuple(self.condemned.items()),
            released=tuple(sorted(self.released)),
        )


def fold(commits: Iterable[Commit]) -> ShardState:
    """Return the state after commits in order."""
    state = ShardState()
    for commit in commits:
        state.apply(commit)
    return state


def known_ids(commits: Sequence[Commit]) -> dict[str, ArchiveRow]:
    """Every archive that some commits ever added, removed since or not."""
    return {row.id: row for commit in commits for row in commit.added}
