"""Shard formats of machine learning: WebDataset, MDS, ArrayRecord; they know positions, names lie in a dictionary."""

from __future__ import annotations

import bisect
import importlib
import importlib.util
import json
import sys
import types
from collections.abc import Callable
from typing import Any, ClassVar

from .base import Items, Missing, NameFile, require

__all__ = ["ArrayRecord", "ArrayRecordZstd", "Mds", "WebDataset"]


def stand_in(name: str, **attributes: Any) -> None:
    """Provide an empty module where a library imports one that its local reader and writer never use."""
    if name not in sys.modules and importlib.util.find_spec(name) is None:
        module = types.ModuleType(name)
        module.__dict__.update(attributes, __path__=[])
        sys.modules[name] = module


def stand_in_for_torch() -> None:
    """The readers import torch for the base class of a dataset only; without torch an empty one does."""

    class Dataset:
        def __class_getitem__(cls, item: Any) -> Any:
            return cls

    stand_in("torch", Tensor=object)
    stand_in("torch.distributed", is_available=lambda: False, is_initialized=lambda: False)
    stand_in("torch.utils")
    stand_in(
        "torch.utils.data", Dataset=Dataset, IterableDataset=Dataset, Sampler=object, DataLoader=object,
        get_worker_info=lambda: None,
    )  # fmt: skip


def load_without_init(package: str, module: str) -> Any:
    """Import a module of a package whose `__init__` would import a training framework.

    Raises:
        Missing: There is no such package, or it needs something that is missing.
    """
    parts = package.split(".")
    for name in (".".join(parts[: depth + 1]) for depth in range(len(parts))):
        if name not in sys.modules:
            spec = importlib.util.find_spec(name)
            if spec is None:
                raise Missing(f"no package {name}")
            bare = types.ModuleType(name)
            bare.__path__ = list(spec.submodule_search_locations or ())
            sys.modules[name] = bare
    return require(module)


class WebDataset(NameFile):
    title = "WebDataset (wids)"
    samples: ClassVar[Any]
    webdataset: ClassVar[Any]

    @classmethod
    def load(cls) -> None:
        stand_in_for_torch()
        cls.samples = load_without_init("wids", "wids.wids").IndexedTarSamples
        cls.webdataset = require("webdataset")

    def write(self, items: Items) -> None:
        writer = self.webdataset.TarWriter(str(self.folder / "a.tar"))
        for position, data in enumerate(self._with_names(items)):
            writer.write({"__key__": f"{position:09}", "bin": data})
        writer.close()

    def open(self) -> None:
        self._samples = self.samples(path=str(self.folder / "a.tar"))
        self._positions = self._load_names()

    def getter(self) -> Callable[[str], bytes]:
        samples, positions = self._samples, self._positions
        return lambda name: samples[positions[name]][".bin"].read()

    def close(self) -> None:
        self._samples.close()


class Mds(NameFile):
    title = "MDS"
    reader: ClassVar[Any]
    writer: ClassVar[Any]

    @classmethod
    def load(cls) -> None:
        stand_in_for_torch()
        for codec in ("snappy", "zstd", "brotli"):
            stand_in(codec)
        cls.reader = load_without_init("streaming.base", "streaming.base.format.mds.reader").MDSReader
        cls.writer = load_without_init("streaming.base", "streaming.base.format.mds.writer").MDSWriter

    def write(self, items: Items) -> None:
        with self.writer(out=str(self.folder / "mds"), columns={"data": "bytes"}) as writer:
            for data in self._with_names(items):
                writer.write({"data": data})

    def open(self) -> None:
        folder = self.folder / "mds"
        shards = json.loads((folder / "index.json").read_text(encoding="utf-8"))["shards"]
        self._shards = [self.reader.from_json(str(folder), "", shard) for shard in shards]
        self._starts = [0]
        for shard in shards:
            self._starts.append(self._starts[-1] + shard["samples"])
        self._positions = self._load_names()

    def getter(self) -> Callable[[str], bytes]:
        shards, starts, positions = self._shards, self._starts, self._positions

        def get(name: str) -> bytes:
            position = positions[name]
            number = bisect.bisect_right(starts, position) - 1
            return shards[number][position - starts[number]]["data"]  # type: ignore[no-any-return]

        return get

    def close(self) -> None:
        self._shards.clear()


class ArrayRecord(NameFile):
    title = "ArrayRecord"
    module: ClassVar[Any]
    options: ClassVar[str] = "group_size:1,uncompressed"

    @classmethod
    def load(cls) -> None:
        cls.module = require("array_record.python.array_record_module")

    def write(self, items: Items) -> None:
        writer = self.module.ArrayRecordWriter(str(self.folder / "a.arrayrecord"), self.options)
        for data in self._with_names(items):
            writer.write(data)
        writer.close()

    def open(self) -> None:
        # For single reads much faster than its defaults, which read ahead in parallel.
        options = "readahead_buffer_size:0,max_parallelism:0"
        self._reader = self.module.ArrayRecordReader(str(self.folder / "a.arrayrecord"), options)
        self._positions = self._load_names()

    def getter(self) -> Callable[[str], bytes]:
        seek, read, positions = self._reader.seek, self._reader.read, self._positions

        def get(name: str) -> bytes:
            seek(positions[name])
            return read()  # type: ignore[no-any-return]

        return get

    def batch(self, names: list[str]) -> object:
        positions = self._positions
        return self._reader.read([positions[name] for name in names])

    def close(self) -> None:
        self._reader.close()


class ArrayRecordZstd(ArrayRecord):
    title = "ArrayRecord, zstd 3"
    options = "group_size:1,zstd:3"
