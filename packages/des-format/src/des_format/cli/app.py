"""The application behind `des`: its commands, and what becomes of their errors."""

from __future__ import annotations

import platform
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..errors import DesError
from . import bench, convert, export, extract, info, listing, pack, verify
from .exit_codes import BROKEN_PIPE, EXIT_CODES, INTERRUPTED, exit_code_of
from .help import examples
from .messages import Messages
from .output import discard, finish, write_line
from .plugins import find_plugin, plugin_names
from .store.app import store

__all__ = ["app"]


class _Group(TyperGroup):
    """Ends every command with one of `EXIT_CODES`, and a sentence instead of a traceback; finds commands of others."""

    def list_commands(self, ctx: Any) -> list[str]:
        names = super().list_commands(ctx)
        return [*names, *(name for name in plugin_names() if name not in names)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return super().get_command(ctx, cmd_name) or find_plugin(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            finish()
            return result
        except (DesError, OSError, MemoryError, KeyboardInterrupt) as error:
            raise typer.Exit(_explain(error, ctx.ensure_object(Messages))) from error


def _explain(error: BaseException, messages: Messages) -> int:
    discard()
    code = exit_code_of(error)
    if messages.debug:
        traceback.print_exception(error, file=sys.stderr)
    if code == INTERRUPTED:
        messages.error("interrupted")
    elif isinstance(error, MemoryError):
        messages.error("out of memory")
    elif code != BROKEN_PIPE:
        messages.error(_sentence(error))
    return code


def _sentence(error: BaseException) -> str:
    if not isinstance(error, OSError) or isinstance(error, DesError) or error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


app = typer.Typer(
    name="des",
    cls=_Group,
    no_args_is_help=True,
    # Plain help: a third of the start-up time, and the source of the reference in the documentation.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog="Exit codes:\n\n\b\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items()),
)


def _version_text() -> str:
    from importlib import metadata

    try:
        version = metadata.version("des-format")
    except metadata.PackageNotFoundError:
        version = "(not installed)"
    return f"des-format {version}, Python {platform.python_version()}"


def _show_version(wanted: bool) -> None:
    if wanted:
        write_line(_version_text())
        raise typer.Exit


@app.callback()
def main(
    ctx: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summaries and no progress; problems only.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the code an error was raised.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Data Easy Store: huge numbers of small objects in one range-readable file.

    Results go to stdout, messages and progress to stderr. Sizes are in powers of 1,024. `des COMMAND --help` shows
    examples.
    """
    ctx.obj = Messages(quiet=quiet, debug=debug)


@examples("des version")
def version() -> None:
    """Show the version of des-format and of Python."""
    write_line(_version_text())


app.command("pack")(pack.pack)
app.command("ls")(listing.ls)
app.command("cat")(listing.cat)
app.command("extract")(extract.extract)
app.command("info")(info.info)
app.command("verify")(verify.verify)
app.command("salvage")(verify.salvage)
app.command("append")(pack.append)
app.command("convert")(convert.convert)
app.command("to-tar")(export.to_tar)
app.command("to-zip")(export.to_zip)
app.command("bench")(bench.bench)
app.add_typer(store, name="store")
app.command("version")(version)
