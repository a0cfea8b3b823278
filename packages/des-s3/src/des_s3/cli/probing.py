"""The command `des s3 probe`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from des_format.cli.exit_codes import PARTLY_FAILED
from des_format.cli.help import examples
from des_format.cli.options import Json
from des_format.cli.output import write_json, write_line

from ..opening import open_s3
from ..probes import probe as probe_service
from ..probing import Finding, ProbeReport

__all__ = ["probe"]


@examples(
    "des s3 probe s3://bucket/prefix",
    "des s3 probe 's3://bucket?endpoint_url=https://s3.example.com'",
    "des s3 probe --json s3://bucket | jq .commits_are_safe",
)
def probe(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="Bucket and prefix, as of a store: s3://bucket/prefix?...")],
    json: Json = False,
) -> None:
    """Find out what an object store can do, and whether commits are safe there.

    Takes about a hundred small requests, on objects below des-probe-... in the prefix, which are removed at the end.
    Credentials come from the environment or the AWS configuration. Where commits are not safe, the exit code is 1; no
    store can be made there.
    """
    with open_s3(url) as objects:
        report = probe_service(objects)
    if json:
        write_json(_described(url, report))
    else:
        _show(report)
    for key in report.left:
        ctx.obj.problem(key, "could not be removed")
    if not report.commits_are_safe:
        raise typer.Exit(PARTLY_FAILED)


def _show(report: ProbeReport) -> None:
    width = max(len(found.feature.title) for found in report.findings)
    for found in report.findings:
        write_line(f"{found.feature.title:<{width}}  {found.verdict:<7}  {found.meaning}")
    write_line("")
    write_line(_summary(report))


def _summary(report: ProbeReport) -> str:
    if not report.commits_are_safe:
        return "commits are refused: conditional writes do not work here"
    advice = ["if_match_quotes=false"] if report.if_match_quotes is False else []
    advice += ["upload_checksums=crc32c"] if report.verifies_crc32c else []
    return f"commits are safe; add {' and '.join(advice)} to the URL" if advice else "commits are safe"


def _described(url: str, report: ProbeReport) -> dict[str, Any]:
    return {
        "url": url,
        "commits_are_safe": report.commits_are_safe,
        "if_match_quotes": report.if_match_quotes,
        "verifies_crc32c": report.verifies_crc32c,
        "findings": [_finding(found) for found in report.findings],
        "left": list(report.left),
    }


def _finding(found: Finding) -> dict[str, str]:
    return {
        "name": found.feature.name,
        "title": found.feature.title,
        "verdict": str(found.verdict),
        "detail": found.detail,
        "meaning": found.meaning,
    }
