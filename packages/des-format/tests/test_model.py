"""Writer, append and reader against a dict."""

import contextlib
import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from des_format import Codec, Compression, DesReader, DesWriter, DuplicateEntryError
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6
) | st.sampled_from(["a", "b", "a/b", "../up", "ż", "log.jpg", "x" * 300])
payloads = st.binary(max_size=120) | st.sampled_from([b"", b"text " * 400, bytes(3000)])
metas = st.none() | st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=5), max_size=3)
policies = st.sampled_from(
    [Compression.of("none"), Compression(), Compression(codec=Codec.LZ4), Compression(dictionary="auto")]
)


class ArchiveMachine(RuleBasedStateMachine):
    """An archive goes through sessions of adding, each sealed or given up."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "a.des"
        self.sealed: dict[str, tuple[bytes, dict[str, Any]]] = {}
        self.added: dict[str, tuple[bytes, dict[str, Any]]] = {}
        self.writer: DesWriter | None = None
        self.policy = Compression()

    @initialize(policy=policies)
    def create(self, policy: Compression) -> None:
        self.writer = DesWriter(self.path, compression=policy, big_file_threshold=2500)

    @precondition(lambda self: self.writer is None)
    @rule(policy=policies)
    def begin_append(self, policy: Compression) -> None:
        self.writer = DesWriter.append(self.path, compression=policy, big_file_threshold=2500)
        self.added = dict(self.sealed)

    @precondition(lambda self: self.writer is not None)
    @rule(name=names, payload=payloads, meta=metas, stream=st.booleans())
    def add(self, name: str, payload: bytes, meta: dict[str, Any] | None, stream: bool) -> None:
        assert self.writer is not None
        known = name in self.added
        try:
            if stream:
                self.writer.add_stream(name, io.BytesIO(payload), meta)
            else:
                self.writer.add_file(name, payload, meta)
        except DuplicateEntryError:
            assert known
        else:
            assert not known
            self.added[name] = (payload, meta or {})

    @precondition(lambda self: self.writer is not None)
    @rule()
    def seal(self) -> None:
        assert self.writer is not None
        self.writer.close()
        self.writer, self.sealed = None, self.added

    @precondition(lambda self: self.writer is not None and self.path.exists())
    @rule(how=st.sampled_from(["abort", "exception"]))
    def give_up(self, how: str) -> None:
        assert self.writer is not None
        if how == "abort":
            self.writer.abort()
        else:
            with contextlib.suppress(ZeroDivisionError), self.writer:
                raise ZeroDivisionError
        self.writer, self.added = None, dict(self.sealed)

    @invariant()
    def the_archive_holds_exactly_what_was_sealed(self) -> None:
        if not self.path.exists():
            assert self.sealed == {}
            return
        with DesReader(self.path) as reader:
            assert len(reader) == len(self.sealed)
            assert reader.list_files() == sorted(self.sealed, key=str.encode)
            assert reader.get_files_batch(self.sealed) == {name: value[0] for name, value in self.sealed.items()}
            assert {entry.name for entry, _payload in reader.scan()} == set(self.sealed)
            for name, (payload, meta) in self.sealed.items():
                assert reader.get_file(name) == payload
                assert reader.get_meta(name) == meta
            assert "never added" not in reader

    def teardown(self) -> None:
        if self.writer is not None:
            self.writer.abort()
        shutil.rmtree(self.folder)


ArchiveMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestArchiveMachine = ArchiveMachine.TestCase
