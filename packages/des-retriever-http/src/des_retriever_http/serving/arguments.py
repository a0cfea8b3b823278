"""The command line of `des-retriever`: options that beat the environment."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

from ..settings.server import ServerSettings

__all__ = ["Arguments", "parse"]

_EPILOG = """\
examples:
  des-retriever archive --host 127.0.0.1        serve a folder on this machine
  des-retriever 's3://bucket/prefix?region=eu-central-1' --workers 4
  DES_BACKEND=multi_s3 DES_ZONES_CONFIG=/etc/des/zones.yaml des-retriever
  des-retriever archive --tls-certificate chain.pem --tls-key key.pem
  des-retriever archive --check                 say what would be served, and end

Every option has a variable, DES_ and its name in capitals (DES_RETRIEVER_HOST and DES_RETRIEVER_PORT for --host and
--port); what has no option has a variable only. SIGTERM stops it when everything that was begun is sent; SIGHUP
replaces the workers, one after the other, if there are several.
"""
_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "--host": ("retriever_host", str),
    "--port": ("retriever_port", int),
    "--workers": ("workers", int),
    "--root-path": ("root_path", str),
    "--trusted-proxies": ("trusted_proxies", str),
    "--tls-certificate": ("tls_certificate", str),
    "--tls-key": ("tls_key", str),
    "--tls-client-ca": ("tls_client_ca", str),
    "--drain-seconds": ("drain_seconds", float),
    "--shutdown-seconds": ("shutdown_seconds", int),
    "--log-level": ("log_level", str),
    "--log-format": ("log_format", str),
}


class Arguments(NamedTuple):
    """What the command line says.

    Attributes:
        settings: Settings that were given, by name.
        check: Whether to say only what would be served.
    """

    settings: dict[str, Any]
    check: bool

    def variables(self) -> dict[str, str]:
        """The settings as variables, for the processes of workers."""
        return {f"DES_{name.upper()}": str(value) for name, value in self.settings.items()}


def parse(argv: Sequence[str] | None = None) -> Arguments:
    """Parse a command line.

    Args:
        argv: Its words without the command; None for those of the process.

    Raises:
        SystemExit: 2, it is malformed, which is told; 0, help or the version was asked for.
    """
    parser = argparse.ArgumentParser(
        "des-retriever",
        description="Serve the entries of a store of DES archives by HTTP.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("store_url", nargs="?", metavar="STORE", help="a folder, or the URL of a store")
    for option, (name, kind) in _OPTIONS.items():
        field = ServerSettings.model_fields[name]
        known = "" if field.default in (None, "") else f" [{field.default}]"
        text = f"{field.description}{known}".replace("%", "%%").replace("`", "")
        parser.add_argument(option, dest=name, type=kind, metavar=option.rpartition("-")[2].upper(), help=text)
    parser.add_argument("--check", action="store_true", help="Check the settings, open the storage, say what is there.")
    parser.add_argument("--version", action="version", version=f"des-retriever {version('des-retriever-http')}")
    given = vars(parser.parse_args(argv))
    check = given.pop("check")
    return Arguments({name: value for name, value in given.items() if value is not None}, check)
