"""What the harness asks of a system that is measured."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

__all__ = ["Missing", "NameFile", "System", "require"]

Items = Iterable[tuple[str, bytes]]


class Missing(Exception):
    """A system cannot be measured here; the text says what is missing."""


def require(module: str) -> Any:
    """Import a module.

    Raises:
        Missing: It is not installed, or needs something that is not.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Missing(str(error)) from error


class System(ABC):
    """One system; written in one process, opened and read in others.

    Attributes:
        title: What the tables call it.
        kind: `peer` archives are compared in "faster than every archive peer".
        shares: The class whose files this one reads, instead of writing its own.
        folder: Where its files lie.
    """

    title: ClassVar[str]
    kind: ClassVar[Literal["des", "peer", "database"]] = "peer"
    shares: ClassVar[type[System] | None] = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod  # noqa: B027  Most need nothing.
    def load(cls) -> None:
        """Import what is needed, so that importing is not measured.

        Raises:
            Missing: It cannot be imported.
        """

    @abstractmethod
    def write(self, items: Items) -> None:
        """Store everything; the harness makes the files durable where this does not."""

    @abstractmethod
    def open(self) -> None:
        """Open for reading by name, with whatever index that needs."""

    @abstractmethod
    def getter(self) -> Callable[[str], bytes]:
        """The function that a caller would use to read one payload by its name."""

    def batch(self, names: list[str]) -> object:
        """Read many payloads, in the way that the system does it best."""
        get = self.getter()
        return [get(name) for name in names]

    @abstractmethod
    def close(self) -> None:
        """Close what `open` opened."""


class NameFile(System):
    """A system that knows positions but no names: the names lie beside it, a dictionary is built when it is opened."""

    def _with_names(self, items: Items) -> Iterable[bytes]:
        with (self.folder / "names.txt").open("w", encoding="utf-8", newline="\n") as names:
            for name, data in items:
                names.write(name + "\n")
                yield data

    def _load_names(self) -> dict[str, int]:
        text = (self.folder / "names.txt").read_text(encoding="utf-8")
        return {name: position for position, name in enumerate(text.split("\n")[:-1])}
