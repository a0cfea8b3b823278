import threading

import lz4.frame
import pytest
import zstandard
from des_format import Codec, Compression, CorruptArchiveError, InvalidInputError
from des_format.codecs import ZstdDictionary, compress_lz4, compress_zstd, decompress
from des_format.compression import Compressor, train_dictionary
from hypothesis import given
from hypothesis import strategies as st

TEXT = b"the quick brown fox jumps over the lazy dog; " * 200
RECORDS = [
    f'{{"id":{i},"user":"u{i * 7919 % 1000}","city":"Warszawa","note":"record number {i}"}}'.encode()
    for i in range(4000)
]


@given(st.binary(max_size=5000))
def test_payloads_survive_every_codec(payload: bytes) -> None:
    for codec, stored in (
        (Codec.NONE, payload),
        (Codec.ZSTD, compress_zstd(payload, 3)),
        (Codec.LZ4, compress_lz4(payload)),
    ):
        assert decompress(codec, stored, len(payload), where="x") == payload


@pytest.mark.parametrize(("codec", "stored"), [(Codec.ZSTD, compress_zstd(TEXT, 3)), (Codec.LZ4, compress_lz4(TEXT))])
def test_a_frame_of_another_size_than_promised_is_refused(codec: Codec, stored: bytes) -> None:
    for wrong in (0, 1, len(TEXT) - 1, len(TEXT) + 1, 2**40):
        with pytest.raises(CorruptArchiveError, match=f"entry x: .*expected {wrong}"):
            decompress(codec, stored, wrong, where="entry x")


@pytest.mark.parametrize(("codec", "stored"), [(Codec.ZSTD, compress_zstd(TEXT, 3)), (Codec.LZ4, compress_lz4(TEXT))])
def test_truncated_extended_or_foreign_frames_are_refused(codec: Codec, stored: bytes) -> None:
    for bad in (b"", b"garbage, no frame at all", stored[:-1], stored[: len(stored) // 2], stored + b"extra"):
        with pytest.raises(CorruptArchiveError):
            decompress(codec, bad, len(TEXT), where="entry x")


def test_a_zstd_frame_without_its_content_size_is_refused() -> None:
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(TEXT)
    with pytest.raises(CorruptArchiveError, match="expected 9000"):
        decompress(Codec.ZSTD, frame, len(TEXT), where="x")


def test_an_lz4_frame_without_its_content_size_is_refused() -> None:
    frame = lz4.frame.compress(TEXT, store_size=False)
    with pytest.raises(CorruptArchiveError, match="lz4 frame of 0 bytes"):
        decompress(Codec.LZ4, frame, len(TEXT), where="x")


def test_a_large_zstd_payload_is_expanded_piece_by_piece() -> None:
    large = bytes(range(256)) * 100_000
    assert decompress(Codec.ZSTD, compress_zstd(large, 1), len(large), where="x") == large


@pytest.mark.parametrize("content", [17 * 2**20, 40 * 2**20])
def test_a_large_zstd_frame_that_lies_about_its_size_is_refused(content: int) -> None:
    frame = bytearray(zstandard.ZstdCompressor().compress(bytes(content)))
    assert frame[4] >> 6 == 2  # A four-byte content size follows the descriptor.
    size_at = 5 if frame[4] & 0x20 else 6
    for lie in (content - 2**19, content + 1):
        frame[size_at : size_at + 4] = lie.to_bytes(4, "little")
        with pytest.raises(CorruptArchiveError):
            decompress(Codec.ZSTD, bytes(frame), lie, where="x")


def test_threads_compress_and_expand_with_engines_of_their_own() -> None:
    dictionary = ZstdDictionary(zstandard.train_dictionary(4096, list(RECORDS)).as_bytes())
    compressor = Compressor(Compression(threads=1), dictionary)
    with_dictionary = [stored or b"" for stored in compressor.compress(RECORDS[:200])]
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(5):
                for record, stored in zip(RECORDS[:200], with_dictionary, strict=True):
                    plain = compress_zstd(record, 3)
                    assert decompress(Codec.ZSTD, plain, len(record), where="x") == record
                    assert decompress(Codec.ZSTD, stored, len(record), where="x", dictionary=dictionary) == record
        except BaseException as error:  # The thread must report, whatever it was.
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_dictionary_pays_for_small_similar_records() -> None:
    policy = Compression()
    dictionary = train_dictionary(RECORDS, policy)
    assert dictionary is not None
    plain = sum(
        len(stored or record) for stored, record in zip(Compressor(policy).compress(RECORDS), RECORDS, strict=True)
    )
    shared = sum(
        len(stored or record)
        for stored, record in zip(Compressor(policy, dictionary).compress(RECORDS), RECORDS, strict=True)
    )
    assert shared < plain * 0.6


@pytest.mark.parametrize(
    "samples", [[], RECORDS[:20], [bytes([i % 256]) * 3 for i in range(100)], [b"same" * 10] * 200]
)
def test_no_dictionary_is_made_where_it_would_not_pay(samples: list[bytes]) -> None:
    assert train_dictionary(samples, Compression()) is None


def test_what_does_not_save_enough_is_not_kept() -> None:
    noise = bytes(hash((i, 1)) & 0xFF for i in range(1000))
    for policy in (Compression(), Compression(codec=Codec.LZ4)):
        stored = Compressor(policy).compress([TEXT, noise[:10], b"", TEXT])
        assert [result is not None for result in stored] == [True, False, False, True]
    assert Compressor(Compression(min_saving=0.999)).compress([TEXT]) == [None]


def test_batches_are_compressed_alike_whatever_the_number_of_threads() -> None:
    batches = [Compressor(Compression(threads=threads)).compress(RECORDS) for threads in (1, 2, 4)]
    assert batches[0] == batches[1] == batches[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 0}, "level 0"),
        ({"level": 23}, "level 23"),
        ({"min_saving": 1.0}, "min_saving"),
        ({"codec": Codec.LZ4, "dictionary": "auto"}, "needs codec zstd, found lz4"),
        ({"dictionary": "trained"}, "'trained'"),
        ({"dictionary": b"no dictionary"}, "not a zstd dictionary"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Compression(**options)  # type: ignore[arg-type]


def test_profiles_are_named_and_others_refused() -> None:
    assert [Compression.of(name).codec for name in ("none", "speed", "balanced", "aggressive")] == [0, 2, 1, 1]
    assert Compression.of("aggressive").level == 9
    with pytest.raises(InvalidInputError, match="unknown compression profile 'fast'; known: none, speed"):
        Compression.of("fast")


@pytest.mark.parametrize(
    ("name", "applies"),
    [("a.txt", True), ("a.JPG", False), ("b/c.tar.gz", False), ("zip", True), (".zip", True), ("x", True)],
)
def test_names_with_compressed_extensions_are_skipped(name: str, applies: bool) -> None:
    assert Compression().applies_to(name) is applies
    assert not Compression.of("none").applies_to(name)
