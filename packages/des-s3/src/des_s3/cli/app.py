"""The group `des s3`: its commands."""

from __future__ import annotations

import typer

from . import probing, syncing

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def main() -> None:
    """Work with S3 and services that speak its protocol."""


app.command("probe")(probing.probe)
app.command("sync-zones")(syncing.sync_zones)
