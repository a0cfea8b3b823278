"""Commands of `des` that other distributions add: entry points `des.commands`, each a Typer application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

__all__ = ["COMMANDS", "PluginCommand", "find_plugin", "plugin_names"]

COMMANDS = "des.commands"


def _installed() -> EntryPoints:
    from importlib.metadata import entry_points

    return entry_points(group=COMMANDS)


def plugin_names() -> list[str]:
    """Return the names of the commands that installed distributions add; imports none of them."""
    return sorted(_installed().names)


def find_plugin(name: str) -> PluginCommand | None:
    """Return the command of this name, not imported yet; None if no installed distribution adds it."""
    return next(map(PluginCommand, _installed().select(name=name)), None)


class PluginCommand(TyperCommand):
    """Stands for a command until it is run: only then its distribution is imported."""

    def __init__(self, entry_point: EntryPoint) -> None:
        self._entry_point = entry_point
        super().__init__(entry_point.name, help=self._summary(), rich_markup_mode=None)

    def _summary(self) -> str:
        found = self._entry_point.dist
        return (found.metadata["Summary"] if found is not None else None) or f"A command of {self.distribution}."

    @property
    def distribution(self) -> str:
        """The name of the distribution that it comes with."""
        found = self._entry_point.dist
        return found.name if found is not None else self._entry_point.value

    def load(self) -> Any:
        """Import the command.

        Raises:
            ConfigurationError: That fails, or it is no Typer application.
        """
        try:
            app = self._entry_point.load()
        except (
            Exception
        ) as error:  # Whatever another distribution raises, the other commands have nothing to do with it.
            raise ConfigurationError(
                f"the command {self.name!r} of {self.distribution} cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(app, typer.Typer):
            raise ConfigurationError(
                f"the command {self.name!r} of {self.distribution} is a {type(app).__name__},"
                " expected a Typer application"
            )
        return typer.main.get_command(app)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        try:
            command = self.load()
        except ConfigurationError:
            # A shell that completes, or a page of documentation, has no place for errors.
            if extra.get("resilient_parsing"):
                return super().make_context(info_name, args, parent, **extra)
            raise
        return command.make_context(info_name, args, parent, **extra)
