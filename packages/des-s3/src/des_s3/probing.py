"""What an object store may be able to do, and what it means for a store of archives.

Source: docs/store-format.md, section "What an object store must do".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["FEATURES", "Feature", "Finding", "ProbeReport", "Verdict"]


class Verdict(StrEnum):
    """How a service answered."""

    YES = "yes"
    NO = "no"
    IGNORED = "ignored"
    """It says that it did what was asked for, and did not."""
    UNKNOWN = "unknown"
    """It may not be asked, or failed."""


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that a service may be able to do.

    Attributes:
        name: Stable, for programs.
        title: For people.
        yes: What it means that it can.
        otherwise: What it means that it cannot, ignores it, or that this is not known.
    """

    name: str
    title: str
    yes: str
    otherwise: str


_REFUSED = "a commit could be lost without anybody noticing: commits are refused"

FEATURES = (
    Feature(
        "create",
        "PUT If-None-Match: * (create)",
        "nothing that exists is overwritten",
        f"two first commits of a shard would overwrite each other, and {_REFUSED}",
    ),
    Feature(
        "create_race",
        "of 8 who create at once, one wins",
        "first commits of a shard are safe at any speed",
        _REFUSED,
    ),
    Feature(
        "replace_quoted",
        'PUT If-Match: "tag" (replace)',
        "commits compare and swap as the standard says",
        "tags go without quotes, if those are taken; otherwise commits are refused",
    ),
    Feature(
        "replace_bare",
        "PUT If-Match: tag (replace)",
        "taken too; where it is the only form, if_match_quotes=false in the URL spares each process a question",
        "no harm where quoted tags are taken; otherwise commits are refused",
    ),
    Feature(
        "replace_race",
        "of 8 who replace a version at once, one wins",
        "commits are safe at any speed",
        _REFUSED,
    ),
    Feature(
        "range", "GET Range: bytes=a-b", "entries are read by themselves", "every read would fetch a whole archive"
    ),
    Feature("suffix", "GET Range: bytes=-n", "archives are opened by one request", "single archives cannot be opened"),
    Feature(
        "get_if_match",
        "GET If-Match",
        "an archive that is replaced while it is read is noticed by the service",
        "it is noticed by the ETag of the answer",
    ),
    Feature(
        "get_if_none_match",
        "GET If-None-Match",
        "a manifest that did not change is not sent again",
        "every look at a manifest fetches it",
    ),
    Feature(
        "multipart", "multipart upload", "archives of any size", "archives up to one part (8 MiB), big files to 64 MiB"
    ),
    Feature(
        "multipart_create",
        "completion with If-None-Match: *",
        "an upload in parts never overwrites",
        "the key is looked up right before; archives have keys of their own, so nothing is lost",
    ),
    Feature(
        "list_after",
        "list keys after a key, in order",
        "listings go on where they stopped",
        "days, shards and garbage cannot be listed reliably: no verify, gc and rebuild",
    ),
    Feature(
        "delete_many", "delete many by one request", "gc takes one request for 1,000 objects", "gc deletes one by one"
    ),
    Feature(
        "content_md5",
        "Content-MD5 is checked",
        "what arrives damaged is refused",
        "what arrives damaged is stored; readers notice it by the checksums of the format",
    ),
    Feature(
        "crc32c",
        "x-amz-checksum-crc32c is checked",
        "upload_checksums=crc32c has what arrives damaged refused, also where there is no MD5",
        "upload_checksums=crc32c would be of no use: leave it out",
    ),
    Feature(
        "crc32c_parts",
        "the same of parts of an upload",
        "upload_checksums=crc32c is good for archives of any size",
        "upload_checksums=crc32c would be of no use: leave it out",
    ),
    Feature(
        "versioning",
        "versioning is on",
        "what gc deletes and commits replace stays, and is paid for: expire noncurrent versions by a lifecycle rule",
        "what gc deletes is gone",
    ),
    Feature(
        "object_lock",
        "object lock is on",
        "what is deleted stays for as long as the lock says, also personal data",
        "what is deleted is gone",
    ),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about a feature.

    Attributes:
        detail: What the service answered; empty if that is obvious.
    """

    feature: Feature
    verdict: Verdict
    detail: str = ""

    @property
    def meaning(self) -> str:
        """What it means for a store."""
        return self.feature.yes if self.verdict is Verdict.YES else self.feature.otherwise


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What a service can do.

    Attributes:
        findings: One for each of `FEATURES`, in their order.
        left: Keys of the probe's that could not be removed.
    """

    findings: Sequence[Finding]
    left: Sequence[str] = ()

    def verdict(self, name: str) -> Verdict:
        """Return the verdict on a feature."""
        return next(found.verdict for found in self.findings if found.feature.name == name)

    @property
    def if_match_quotes(self) -> bool | None:
        """Whether conditional writes have to quote the tag; None where neither form works."""
        if Verdict.IGNORED in (self.verdict("replace_quoted"), self.verdict("replace_bare")):
            return None
        if self.verdict("replace_quoted") is Verdict.YES:
            return True
        return False if self.verdict("replace_bare") is Verdict.YES else None

    @property
    def verifies_crc32c(self) -> bool:
        """Whether uploads should carry their CRC32C."""
        return all(self.verdict(name) is Verdict.YES for name in ("crc32c", "crc32c_parts"))

    @property
    def commits_are_safe(self) -> bool:
        """Whether a store may be here: conditional writes were seen to work, also in a race."""
        proven = all(self.verdict(name) is Verdict.YES for name in ("create", "create_race", "replace_race"))
        return proven and self.if_match_quotes is not None
