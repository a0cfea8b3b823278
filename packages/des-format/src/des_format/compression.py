"""Compression policy: which codec, what to skip, and when a result is worth keeping."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import zstandard

from .codecs import ZstdDictionary, compress_lz4
from .entry import Codec
from .errors import InvalidInputError

__all__ = ["SKIPPED_EXTENSIONS", "Compression", "Compressor", "train_dictionary"]

SKIPPED_EXTENSIONS = frozenset(
    ".7z .aac .apk .avif .br .bz2 .crx .des .docx .epub .flac .gif .gz .heic .heif .jar .jpeg .jpg .jxl .lz4 .lzma"
    " .m4a .m4v .mkv .mov .mp3 .mp4 .mpeg .mpg .odp .ods .odt .ogg .opus .parquet .png .pptx .rar .tgz .txz .webm"
    " .webp .whl .wmv .woff .woff2 .xlsx .xz .zip .zst".split()
)
DICTIONARY_BYTES = 112 * 1024
TRAINING_BYTES = 8 * 2**20
_TRAINING_SAMPLE_BYTES = 64 * 1024
_MIN_TRAINING_SAMPLES = 64
_MAX_DEFAULT_THREADS = 8  # one thread accepts and appends entries; at level 3 it keeps no more than these busy

Profile = Literal["none", "speed", "balanced", "aggressive"]


@dataclass(frozen=True, slots=True)
class Compression:
    """How a writer compresses payloads.

    A payload is stored compressed only if its name's extension is not skipped and the result
    saves at least `min_saving` of its size.

    Attributes:
        codec: `Codec.NONE`, `Codec.ZSTD` or `Codec.LZ4`.
        level: zstd level, 1 to 22; ignored by other codecs.
        dictionary: A zstd dictionary that all entries share: trained bytes, `"auto"` to train
            one on the first 8 MiB of payloads, or None.
        skipped_extensions: Lower-case extensions, with their dot, that are stored as they are.
        min_saving: Smallest part of the size that compression must save, 0 to 1.
        threads: Threads that compress side by side; 0 for one a processor, at most 8.
    """

    codec: Codec = Codec.ZSTD
    level: int = 3
    dictionary: bytes | Literal["auto"] | None = None
    skipped_extensions: frozenset[str] = SKIPPED_EXTENSIONS
    min_saving: float = 0.03
    threads: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.level <= zstandard.MAX_COMPRESSION_LEVEL:
            raise InvalidInputError(f"zstd level {self.level}; 1 to {zstandard.MAX_COMPRESSION_LEVEL} are allowed")
        if not 0 <= self.min_saving < 1:
            raise InvalidInputError(f"min_saving {self.min_saving}; 0 to below 1 is allowed")
        if self.dictionary is not None and self.codec is not Codec.ZSTD:
            raise InvalidInputError(f"a dictionary needs codec zstd, found {self.codec.name.lower()}")
        if isinstance(self.dictionary, str) and self.dictionary != "auto":
            raise InvalidInputError(f"dictionary {self.dictionary!r}; bytes, 'auto' or None are allowed")
        if isinstance(self.dictionary, bytes):
            ZstdDictionary(self.dictionary)  # Refuses what is none.

    @classmethod
    def of(cls, choice: Compression | Profile | str) -> Compression:
        """Return the compression for a profile's name, or the argument itself.

        Profiles: `none`; `speed` (lz4); `balanced` (zstd 3); `aggressive` (zstd 9).

        Raises:
            InvalidInputError: No such profile.
        """
        if isinstance(choice, Compression):
            return choice
        profiles = {
            "none": cls(codec=Codec.NONE),
            "speed": cls(codec=Codec.LZ4),
            "balanced": cls(),
            "aggressive": cls(level=9),
        }
        if choice not in profiles:
            raise InvalidInputError(f"unknown compression profile {choice!r}; known: {', '.join(profiles)}")
        return profiles[choice]

    def applies_to(self, name: str) -> bool:
        """Whether payloads of this name are worth trying."""
        if self.codec is Codec.NONE:
            return False
        # Nearly all names are decided by their last dot; only splitext knows that ".gz" and "a.gz/b" have no extension.
        return (
            name[name.rfind(".") :].lower() not in self.skipped_extensions
            or os.path.splitext(name)[1].lower() not in self.skipped_extensions
        )


class Compressor:
    """Compresses batches of payloads under one policy; belongs to one writer.

    Attributes:
        threads: Batches that are compressed side by side.
    """

    def __init__(self, policy: Compression, dictionary: ZstdDictionary | None = None) -> None:
        self._policy = policy
        self.dictionary = dictionary
        self.threads = policy.threads or min(os.cpu_count() or 1, _MAX_DEFAULT_THREADS)
        self._local = threading.local()
        self._workers: ThreadPoolExecutor | None = None
        if dictionary is not None:
            dictionary.zstd.precompute_compress(level=policy.level)

    @property
    def _zstd(self) -> zstandard.ZstdCompressor:
        """This thread's own: a shared one crashes the interpreter."""
        try:
            return self._local.zstd  # type: ignore[no-any-return]
        except AttributeError:
            options: dict[str, Any] = {"dict_data": self.dictionary.zstd} if self.dictionary else {}
            made = self._local.zstd = zstandard.ZstdCompressor(level=self._policy.level, **options)
            return made

    def start(self, payloads: Sequence[bytes]) -> Callable[[], list[bytes | None]]:
        """Start to `compress` in the background, and return what waits for the result.

        lz4 gives up the interpreter's lock for each payload alone, so a second thread would only slow it down:
        it is done at once.
        """
        if self._policy.codec is not Codec.ZSTD:
            results = self.compress(payloads)
            return lambda: results
        if self._workers is None:
            self._workers = ThreadPoolExecutor(self.threads, thread_name_prefix="des-compress")
        return self._workers.submit(self.compress, payloads).result

    def close(self) -> None:
        """Forget what was started."""
        if self._workers is not None:
            self._workers.shutdown(wait=False, cancel_futures=True)

    def compress(self, payloads: Sequence[bytes]) -> list[bytes | None]:
        """Return the stored form of each payload, or None where it is not worth keeping."""
        results: list[bytes | None]
        if self._policy.codec is not Codec.ZSTD:
            results = [compress_lz4(payload) for payload in payloads]
        elif len(payloads) == 1:
            results = [self._zstd.compress(payloads[0])]
        else:
            # An empty payload would end the batch call with an error; it is never worth compressing anyway.
            filled = [index for index, payload in enumerate(payloads) if payload]
            results = [None] * len(payloads)
            if filled:
                frames = self._zstd.multi_compress_to_buffer([payloads[i] for i in filled], threads=1)
                for number, index in enumerate(filled):
                    results[index] = frames[number].tobytes()
        keep = 1 - self._policy.min_saving
        return [
            stored if stored is not None and len(stored) <= len(payload) * keep else None
            for stored, payload in zip(results, payloads, strict=True)
        ]


def train_dictionary(samples: Sequence[bytes], policy: Compression) -> ZstdDictionary | None:
    """Train a dictionary on payloads, or return None when it would not pay for itself.

    Every fourth sample is held back: the dictionary is kept only if it makes those smaller by
    more, in proportion to what it was trained on, than its own size.
    """
    samples = [sample[:_TRAINING_SAMPLE_BYTES] for sample in samples if sample]
    held_back, training = samples[::4], [sample for i, sample in enumerate(samples) if i % 4]
    if len(training) < _MIN_TRAINING_SAMPLES:
        return None
    size = min(DICTIONARY_BYTES, sum(map(len, training)) // 8)
    try:
        trained = zstandard.train_dictionary(size, list[bytes | bytearray | memoryview](training))
    except zstandard.ZstdError:
        return None
    dictionary = ZstdDictionary(trained.as_bytes())

    def stored_size(compressor: Compressor) -> int:
        results = compressor.compress(held_back)
        return sum(
            len(payload if stored is None else stored) for stored, payload in zip(results, held_back, strict=True)
        )

    saved = stored_size(Compressor(policy)) - stored_size(Compressor(policy, dictionary))
    return dictionary if saved * 4 > len(dictionary.data) else None
