"""Everything that has to pass before a change is merged, cheap checks first.

python .ci/check.py [--fail-fast] [--install-servers] [STEP...]

The step `servers` says which servers for tests there are; with --install-servers, or where CI=true, it installs what is
missing first. What cannot be installed is skipped by the tests that need it.

A step that fails does not hide the ones after it; the last line counts tests and other checks together.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Step:
    name: str
    command: list[str]
    is_pytest: bool = False


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failed_steps: list[str] = field(default_factory=list)

    def add_tests(self, report: Path) -> int:
        """Add the tests of a JUnit report; return how many failed, 1 if there is no report."""
        if not report.exists():
            return 1
        failed = 0
        for suite in ET.parse(report).getroot().iter("testsuite"):
            count = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
            failed += count["failures"] + count["errors"]
            self.skipped += count["skipped"]
            self.passed += count["tests"] - count["failures"] - count["errors"] - count["skipped"]
        self.failed += failed
        return failed


def steps(scratch: Path, install_servers: bool) -> list[Step]:
    packages = sorted(path.parent.name for path in ROOT.glob("packages/*/pyproject.toml"))
    lint = [Step(name, [f"lint:{name}"]) for name in ("format", "style", "imports", "dependencies", "workflows")]
    alone = [Step(f"alone-{name}", [f"alone-{name}:test"], is_pytest=True) for name in packages]
    integration = [
        Step("servers", ["servers", "install"] if install_servers else ["servers"]),
        Step("integration", ["integration", "tests-integration"], is_pytest=True),
    ]
    return [
        *lint,
        Step("types", ["types:all"]),
        Step("tests", ["cov"], is_pytest=True),
        *alone,
        Step("snippets", ["snippets"]),
        Step("docs", ["docs:build", "--site-dir", str(scratch / "site")]),
        Step("wheels", ["package:wheels"]),
        *(integration if (ROOT / "tests-integration").is_dir() else []),
    ]


def run(step: Step, report: Path, tally: Tally) -> bool:
    # pytest-xdist and coverage are options of the scripts; arguments replace their default paths.
    command = ["hatch", "run", *step.command]
    if step.is_pytest:
        command = ["hatch", "run", *step.command, f"--junitxml={report}"]
        if len(step.command) == 1:
            command.append("packages" if step.name == "tests" else f"packages/{step.name.removeprefix('alone-')}/tests")
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    failed_tests = tally.add_tests(report) if step.is_pytest else 0
    ok = code == 0
    if not ok:
        tally.failed_steps.append(step.name)
    # A test run that failed because of its tests is already counted; one that failed otherwise (coverage) is not.
    if ok:
        tally.passed += not step.is_pytest
    elif not failed_tests or not report.exists():
        tally.failed += 1
    return ok


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first step that fails")
    parser.add_argument("--install-servers", action="store_true", help="install missing servers for tests (apt, root)")
    parser.add_argument("step", nargs="*", help="run only these steps")
    options = parser.parse_args()
    tally = Tally()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="des-check-") as folder:
        scratch = Path(folder)
        every = steps(scratch, options.install_servers or os.environ.get("CI", "").lower() == "true")
        if unknown := set(options.step) - {step.name for step in every}:
            parser.error(f"no step {sorted(unknown)}; there are: {' '.join(step.name for step in every)}")
        chosen = [step for step in every if not options.step or step.name in options.step]
        for number, step in enumerate(chosen, 1):
            print(f"\n[{number}/{len(chosen)}] {step.name}: hatch run {' '.join(step.command)}", flush=True)
            step_began = time.monotonic()
            ok = run(step, scratch / f"{step.name}.xml", tally)
            print(f"{step.name}: {'passed' if ok else 'FAILED'} in {time.monotonic() - step_began:.1f} s", flush=True)
            if options.fail_fast and not ok:
                break
    print(f"\n{time.monotonic() - began:.0f} s on Python {sys.version.split()[0]}.", end=" ")
    print(f"Failed steps: {', '.join(tally.failed_steps) or 'none'}.")
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped (tests and other checks together)")
    return 1 if tally.failed_steps else 0


if __name__ == "__main__":
    sys.exit(main())
