"""Where entries are: the variables of the published retriever, or the URL of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

__all__ = ["StorageSettings"]

Layout = Literal["des-core", "datavision"]

_OF_S3 = ("s3_bucket", "s3_region", "s3_endpoint_url", "s3_prefix")


class StorageSettings(BaseModel):
    """Where entries are, and how they are read."""

    backend: Literal["local", "s3", "multi_s3"] | None = Field(
        None, description="Which of the variables below say where entries are; `local` unless `DES_STORE_URL` is set."
    )
    store_url: str | None = Field(
        None,
        description="Where entries are, in place of `DES_BACKEND`: a folder, `s3://bucket/prefix?endpoint_url=...`,"
        " `zones:///zones.json`, or any scheme that an installed distribution opens.",
    )
    base_dir: Path | None = Field(None, description="`local`: the folder; `./data/des` if unset.")
    n_bits: int | None = Field(
        None, ge=0, le=16, description="There are 2**n bits shards a day; 8 if unset. A store knows it by itself."
    )
    s3_bucket: str | None = Field(None, min_length=1, description="`s3`: the bucket.")
    s3_region: str | None = Field(None, description="`s3`: its region.")
    s3_endpoint_url: str | None = Field(None, description="`s3`: the address of a service other than AWS.")
    s3_prefix: str | None = Field(None, description="`s3`: the folder in the bucket.")
    zones_config: Path | None = Field(None, description="`multi_s3`: the file of zones, YAML or JSON.")
    layout: Layout = Field(
        "des-core", description="Which published system wrote what is there, where there is no `des-store.json`."
    )
    bigfiles_prefix: str = Field("_bigFiles", description="Published layout: the folder of large payloads.")
    big_file_threshold_bytes: int | None = Field(
        None, ge=1, description="Accepted as it was published; only writers use it."
    )
    cache_url: str | None = Field(
        None,
        description="Index caches, the fastest first, with commas between them, such as"
        " `memory://?max_bytes=256MiB,redis://cache:6379/0`.",
    )
    cache_backend: Literal["memory", "redis"] | None = Field(
        None, description="As published: `memory`, or `redis` at `DES_REDIS_URL`; `DES_CACHE_URL` says more."
    )
    redis_url: str | None = Field(None, description="As published: where `DES_CACHE_BACKEND=redis` finds Redis.")
    cache_ttl: int | None = Field(None, ge=1, description="As published: seconds for which that cache keeps a block.")
    manifest_ttl_seconds: float = Field(
        5.0, ge=0, description="For so long may a deletion through another process go unseen; 0 asks at every read."
    )
    fetch_bytes: int = Field(
        8 * 2**20, ge=1, description="A payload up to this size is read as a whole and checked before it is sent."
    )
    stream_memory_bytes: int = Field(
        128 * 2**20, ge=2**20, description="Memory for all larger payloads that are being sent, together."
    )

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        kind = self.kind
        if self.store_url is not None and self.backend is not None:
            raise ValueError("DES_STORE_URL and DES_BACKEND both say where entries are; set one of them")
        needed = {"s3": "s3_bucket", "multi_s3": "zones_config"}.get(kind)
        if needed is not None and getattr(self, needed) is None:
            raise ValueError(f"DES_BACKEND={kind} needs {_variable(needed)}")
        allowed = {"local": ("base_dir",), "s3": _OF_S3, "multi_s3": ("zones_config",), "url": ()}[kind]
        for name in ("base_dir", *_OF_S3, "zones_config"):
            if name not in allowed and getattr(self, name) is not None:
                chosen = "DES_STORE_URL" if kind == "url" else f"DES_BACKEND={kind}"
                raise ValueError(f"{_variable(name)} means nothing with {chosen}; unset one of them")
        if kind == "multi_s3" and self.n_bits is not None:
            raise ValueError("DES_N_BITS means nothing with DES_BACKEND=multi_s3; the file of zones says it")
        if self.cache_url is not None and self.cache_backend is not None:
            raise ValueError("DES_CACHE_URL and DES_CACHE_BACKEND both name a cache; set one of them")
        if (self.cache_backend == "redis") != (self.redis_url is not None):
            raise ValueError("DES_CACHE_BACKEND=redis and DES_REDIS_URL need each other")
        if self.cache_ttl is not None and self.cache_backend is None:
            raise ValueError("DES_CACHE_TTL needs DES_CACHE_BACKEND; in DES_CACHE_URL it is ?ttl=SECONDS")
        return self

    @property
    def kind(self) -> Literal["local", "s3", "multi_s3", "url"]:
        """Which variables say where entries are."""
        return "url" if self.store_url is not None else self.backend or "local"


def _variable(name: str) -> str:
    return f"DES_{name.upper()}"
