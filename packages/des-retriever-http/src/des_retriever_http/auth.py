"""The command `des-auth`: make and check credentials, and try them."""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
import sys
from collections.abc import Sequence
from datetime import datetime
from getpass import getpass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from des_format.errors import ConfigurationError, DesError

from .security.credentials import Credentials, parse_credentials
from .security.principals import Permission, Principal

__all__ = ["main"]

FAILED = 1
USAGE = 2

_EPILOG = """\
examples:
  des-auth new-key scanner --permission read --prefix invoices/
  des-auth check keys.yaml
  des-auth test --private-key ~/.ssh/id_ed25519 --url http://127.0.0.1:8000/files/scan-7 \\
    --created-at 2025-11-25T08:00:00Z

exit codes: 0 done; 1 refused, malformed or unreachable; 2 usage.
"""
_KEY_BYTES = 32
_TIMEOUT_SECONDS = 30


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code: 0, 1 for what does not work, 2 for usage."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.act(arguments)
    except (DesError, OSError) as error:
        print(f"des-auth: {error}", file=sys.stderr)
        return FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "des-auth",
        description="Make, check and try the credentials of the retriever.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"des-auth {version('des-retriever-http')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    new = commands.add_parser("new-key", help="make an API key, and what the document of credentials has of it")
    new.set_defaults(act=_new_key)
    new.add_argument("id", help="names its owner in logs and histories")
    new.add_argument(
        "--permission", action="append", choices=[one.value for one in Permission], help="what it allows [read]"
    )
    new.add_argument("--prefix", action="append", default=[], help="how uids begin that it is for [all]")
    new.add_argument(
        "--exclude", action="append", default=[], metavar="PREFIX", help="how uids begin that it is not for"
    )
    new.add_argument("--expires-at", metavar="TIME", help="when it ends, ISO 8601 with an offset [never]")
    new.add_argument("--per-hour", type=int, metavar="COUNT", help="requests in an hour [as the service says]")
    new.add_argument("--json", action="store_true", help="print one JSON object")

    check = commands.add_parser("check", help="check a document of credentials, and say who is in it")
    check.set_defaults(act=_check)
    check.add_argument("file", type=Path)
    check.add_argument("--json", action="store_true", help="print one JSON object for each principal")

    test = commands.add_parser("test", help="read a file with a signed request, and print the answer")
    test.set_defaults(act=_test)
    test.add_argument("--private-key", type=Path, required=True, metavar="FILE", help="as ssh-keygen writes it")
    test.add_argument("--password", action="store_true", help="ask for the password of the private key")
    test.add_argument("--url", required=True, help="of the file, .../files/UID")
    test.add_argument("--created-at", required=True, metavar="TIME", help="ISO 8601 with an offset")
    return parser


def _new_key(arguments: argparse.Namespace) -> int:
    key = f"des_{secrets.token_urlsafe(_KEY_BYTES)}"
    item: dict[str, Any] = {
        "id": arguments.id,
        "hash": f"sha256:{hashlib.sha256(key.encode()).hexdigest()}",
        "permissions": arguments.permission or [Permission.READ.value],
        "allowed_prefixes": arguments.prefix,
        "excluded_prefixes": arguments.exclude,
        "expires_at": arguments.expires_at,
        "max_requests_per_hour": arguments.per_hour,
    }
    item = {name: value for name, value in item.items() if value not in (None, [])}
    parse_credentials({"api_keys": [item]}, where="des-auth new-key")
    if arguments.json:
        print(json.dumps({"key": key, "item": item}))
        return 0
    print(f"# For its owner. It is not kept anywhere, so it cannot be shown again.\nkey: {key}\n")
    print("# For the document of credentials.")
    print(yaml.safe_dump({"api_keys": [item]}, sort_keys=False), end="")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    document = arguments.file.read_text(encoding="utf-8")
    for kind, principal in _principals(parse_credentials(document, where=str(arguments.file))):
        described = _described(kind, principal)
        if arguments.json:
            print(json.dumps(described))
        else:
            print("  ".join(f"{name}={value}" for name, value in described.items() if value not in (None, [])))
    return 0


def _principals(known: Credentials) -> list[tuple[str, Principal]]:
    signers = [("public key", principal) for _key, principal in known.public_keys.values()]
    return [("API key", principal) for principal in known.api_keys.values()] + signers


def _described(kind: str, principal: Principal) -> dict[str, Any]:
    ends_at: datetime | None = principal.expires_at
    return {
        "id": principal.id,
        "kind": kind,
        "permissions": sorted(one.value for one in principal.permissions),
        "allowed_prefixes": list(principal.allowed_prefixes),
        "excluded_prefixes": list(principal.excluded_prefixes),
        "expires_at": None if ends_at is None else ends_at.isoformat(),
        "has_expired": principal.has_expired(),
        "max_requests_per_hour": principal.requests_per_hour,
    }


def _test(arguments: argparse.Namespace) -> int:
    try:
        import httpx

        from .client.signing import SignedRequests
    except ImportError:
        raise ConfigurationError("des-auth test needs `pip install 'des-retriever-http[client]'`") from None
    password = getpass("Password of the private key: ").encode() if arguments.password else None
    auth = SignedRequests.from_file(arguments.private_key, password)
    try:
        answer = httpx.get(
            arguments.url, params={"created_at": arguments.created_at}, auth=auth, timeout=_TIMEOUT_SECONDS
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        print(f"des-auth: {arguments.url}: {error}", file=sys.stderr)
        return FAILED
    # As published: the status, then the body as it is.
    print(f"Status: {answer.status_code}", file=sys.stderr)
    sys.stdout.buffer.write(answer.content)
    sys.stdout.flush()
    return 0 if answer.is_success else FAILED


if __name__ == "__main__":
    sys.exit(main())
