"""Run the examples of the documentation, so that none of them can be wrong.

python .ci/snippets.py [DOCUMENT...]

The fenced blocks of a document run in order, in one empty folder and one namespace:

- ```python   is executed (top-level `await` works); a warning is an error
- ```console  every line after `$ ` goes to bash and must succeed; lines below it, if any, are its expected output, in
              which `...` stands for anything

A block that cannot run has `<!-- not run: REASON -->` on the line above its fence. Other shell and Python fences (`sh`,
`bash`, `shell`, `pycon`) are refused without that line: nothing is skipped silently.
"""

import ast
import asyncio
import doctest
import inspect
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(
    r"^(?P<indent>[ \t]*)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```[ \t]*$", re.MULTILINE | re.DOTALL
)
NOT_RUN = re.compile(r"<!-- not run: \S[^\n]*-->\s*\Z")
EXECUTED = {"python", "console"}
MUST_SAY = EXECUTED | {"bash", "pycon", "sh", "shell"}


@dataclass(frozen=True)
class Block:
    document: Path
    line: int
    language: str
    body: str


def blocks(document: Path) -> Iterator[Block]:
    text = document.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        if match["language"] in MUST_SAY and not NOT_RUN.search(text[: match.start()]):
            line = text.count("\n", 0, match.start("body")) + 1
            yield Block(document, line, match["language"], textwrap.dedent(match["body"]))


def run_python(block: Block, namespace: dict[str, Any], runner: asyncio.Runner) -> None:
    source = "\n" * (block.line - 1) + block.body  # a traceback then shows the document's line
    code = compile(source, str(block.document), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    result = eval(code, namespace)
    if inspect.iscoroutine(result):
        runner.run(result)


def run_console(block: Block) -> None:
    for part in re.split(r"^\$ ", block.body, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        last = next((i for i, line in enumerate(lines) if not line.endswith("\\\n")), len(lines) - 1)
        command, expected = "".join(lines[: last + 1]), "".join(lines[last + 1 :]).strip()
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True, timeout=120, check=False
        )
        output = (done.stdout + done.stderr).strip()
        if done.returncode != 0:
            raise AssertionError(f"$ {command}exit code {done.returncode}\n{output}")
        if expected and not doctest.OutputChecker().check_output(
            expected + "\n", output + "\n", doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        ):
            raise AssertionError(f"$ {command}--- expected\n{expected}\n--- got\n{output}")


def run_document(document: Path) -> int:
    """Run all blocks of one document in the current folder; return how many failed."""
    warnings.simplefilter("error")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    failed = 0
    with asyncio.Runner() as runner:
        for block in blocks(document):
            where = f"{document.relative_to(ROOT)}:{block.line} {block.language}"
            try:
                if block.language not in EXECUTED:
                    raise AssertionError("use ```python or ```console, or say why with `<!-- not run: REASON -->`")
                run_python(block, namespace, runner) if block.language == "python" else run_console(block)
            except Exception:  # an example may raise anything; the next one still runs
                failed += 1
                print(f"FAILED {where}\n{textwrap.indent(traceback.format_exc(), '    ')}", flush=True)
            else:
                print(f"passed {where}", flush=True)
    return failed


def documents() -> list[Path]:
    names = ("quickstart", "store", "operations", "caches", "retriever", "retriever-client", "security")
    guides = [ROOT / "docs" / f"{name}.md" for name in names]
    return [ROOT / "README.md", *sorted(ROOT.glob("packages/*/README.md")), *guides]


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--here"]:
        return min(run_document(Path(arguments[1])), 125)
    failed = []
    for document in [Path(name).resolve() for name in arguments] or documents():
        # A fresh process and an empty folder for each document.
        with tempfile.TemporaryDirectory(prefix="des-snippets-") as folder:
            command = [sys.executable, __file__, "--here", str(document)]
            environ = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
            if subprocess.run(command, cwd=folder, env=environ, check=False).returncode != 0:
                failed.append(str(document.relative_to(ROOT)))
    print(f"snippets: failed in {', '.join(failed)}" if failed else "snippets: all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
