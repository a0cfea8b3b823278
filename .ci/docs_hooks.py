"""Hooks of mkdocs: the pages that are made from the code or from the folder, so that they are never stale.

- `cli.md` is the reference of the `des` command, written from the command itself
- `retriever-settings.md` is the reference of the variables of `des-retriever`, written from its settings
- `decisions/` in the navigation becomes the list of the decision records, in order
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer.main
from des_format.cli.__main__ import app
from des_format.cli.exit_codes import EXIT_CODES
from des_retriever_http import Settings
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    docs = Path(config.docs_dir)
    for section in config.nav or []:
        for title, target in section.items():
            if isinstance(target, str) and target.endswith("/"):
                section[title] = [path.relative_to(docs).as_posix() for path in sorted(docs.glob(f"{target}*.md"))]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    files.append(File.generated(config, "cli.md", content=cli_reference()))
    files.append(File.generated(config, "retriever-settings.md", content=settings_reference()))
    return files


def cli_reference() -> str:
    command = typer.main.get_command(app)
    lines = [
        "# Command line",
        "",
        f"The reference of `des`, generated from des-format {version('des-format')}.",
        "Install it with `pip install 'des-format[cli]'`.",
        *describe(command, "des", level=2),
        "",
        "## Exit codes",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| {code} | {cell(meaning)} |" for code, meaning in sorted(EXIT_CODES.items())),
        "",
    ]
    return "\n".join(lines)


def settings_reference() -> str:
    lines = [
        "# Settings of the retriever",
        "",
        f"The variables of `des-retriever`, generated from des-retriever-http {version('des-retriever-http')}.",
        "They are also the keyword arguments of `create_app`, in lower case and without `DES_`; an argument beats its",
        "variable. Any other variable that begins with `DES_` stops the start, and so does a contradiction.",
    ]
    for part in Settings.__bases__:
        if fields := getattr(part, "model_fields", {}):
            title = paragraphs(part.__doc__).rstrip(".")
            lines += ["", f"## {title}", "", "| variable | default | meaning |", "|---|---|---|"]
        for name, field in fields.items():
            lines.append(f"| `DES_{name.upper()}` | {default(field)} | {cell(field.description or '')} |")
    return "\n".join([*lines, ""])


def default(field: Any) -> str:
    if field.default is None or field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def describe(command: Any, name: str, level: int) -> list[str]:
    """Return the lines for a command and all its subcommands."""
    context = command.make_context(name, [], resilient_parsing=True)
    comes_with = getattr(command, "distribution", None)
    command = context.command
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    lines = ["", f"{'#' * level} {name}", "", paragraphs(command.help), "", "```text", usage, "```"]
    if comes_with:
        lines[2:2] = ["", f"Comes with `pip install '{comes_with}[cli]'`."]
    records = [record for parameter in command.params if (record := parameter.get_help_record(context))]
    if records:
        lines += ["", "| argument or option | effect |", "|---|---|"]
        lines += [f"| `{cell(names)}` | {cell(effect)} |" for names, effect in records]
    for child_name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        child = command.get_command(context, child_name)
        if not child.hidden:
            lines += describe(child, f"{name} {child_name}", level + 1)
    return lines


def paragraphs(text: str | None) -> str:
    return (text or "").replace("\b\n", "").strip()


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
