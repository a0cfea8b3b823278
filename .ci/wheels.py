"""Build every distribution, install it the way a user does, and import every module of it.

The wheel is built from the sdist, so the sdist is complete. Each distribution gets two new environments, one without
and one with all its extras. A subpackage that is named like an extra (`des_format.cli`, extra `cli`) needs that extra;
every other module must import without any.
"""

import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from itertools import chain
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent

IMPORT_ALL = """
import importlib, pkgutil, sys
top, skipped = sys.argv[1], {f"{sys.argv[1]}.{extra}" for extra in sys.argv[2:]}
package = importlib.import_module(top)
assert "site-packages" in package.__file__, package.__file__
count = 1
for module in pkgutil.walk_packages(package.__path__, top + "."):
    if not any(f"{module.name}.".startswith(f"{name}.") for name in skipped):
        importlib.import_module(module.name)
        count += 1
print(f"  imported {count} modules of {top}" + (f", without {', '.join(sorted(skipped))}" if skipped else ""))
"""


def call(*command: object, cwd: Path | None = None) -> None:
    subprocess.run([str(part) for part in command], cwd=cwd, check=True)


def build(project: Path, dist: Path) -> Path:
    """Build the sdist, and the wheel from the unpacked sdist; return the wheel."""
    hatchling = (sys.executable, "-m", "hatchling", "build", "-d")
    call(*hatchling, dist, "-t", "sdist", cwd=project)
    (sdist,) = dist.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as unpacked:
        with tarfile.open(sdist) as archive:
            archive.extractall(unpacked, filter="data")
        (source,) = Path(unpacked).iterdir()
        call(*hatchling, dist, "-t", "wheel", cwd=source)
    (wheel,) = dist.glob("*.whl")
    return wheel


def check_contents(wheel: Path, top: str, project: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (licence,) = [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
        if archive.read(licence) != (ROOT / "LICENSE").read_bytes():
            raise SystemExit(f"{project / 'LICENSE'} differs from the one at the top")
    if f"{top}/py.typed" not in names:
        raise SystemExit(f"{wheel.name} has no {top}/py.typed")
    if stray := [name for name in names if not name.startswith((f"{top}/", f"{top}-"))]:
        raise SystemExit(f"{wheel.name} holds files outside {top}: {stray}")


def check_install(wheel: Path, top: str, metadata: dict[str, Any], folder: Path, siblings: list[Path]) -> None:
    extras = sorted(metadata.get("optional-dependencies", {}))
    for chosen in [[], extras] if extras else [[]]:
        venv = folder / f"venv-{'-'.join(chosen) or 'plain'}"
        python = venv / "bin" / "python"
        call("uv", "venv", "--quiet", "--python", sys.executable, venv)
        name = f"{metadata['name']}[{','.join(chosen)}]" if chosen else metadata["name"]
        install = ["uv", "pip", "install", "--quiet", "--python", str(python), f"{name} @ {wheel.as_uri()}"]
        install += [str(sibling) for sibling in siblings]
        # The versions are pinned, so what is in uv's cache is what the index would give.
        if subprocess.run([*install, "--offline"], check=False, stderr=subprocess.DEVNULL).returncode != 0:
            call(*install)
        call("uv", "pip", "check", "--quiet", "--python", python)
        call(python, "-I", "-W", "error", "-c", IMPORT_ALL, top, *sorted(set(extras) - set(chosen)), cwd=folder)
        if chosen == extras:
            for script in metadata.get("scripts", {}):
                subprocess.run([venv / "bin" / script, "--help"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
                print(f"  {script} --help works")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="des-wheels-") as scratch:
        built = {}
        for path in sorted(ROOT.glob("packages/*/pyproject.toml")):
            metadata = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
            dist = Path(scratch) / "dist" / metadata["name"]
            wheel = build(path.parent, dist)
            built[metadata["name"]] = (path.parent, metadata, wheel)
        for name, (project, metadata, wheel) in built.items():
            print(f"{wheel.name}:", flush=True)
            top = name.replace("-", "_")
            check_contents(wheel, top, project)
            siblings = [other for key, (_, _, other) in built.items() if key != name and needs(metadata, key)]
            check_install(wheel, top, metadata, Path(scratch) / "dist" / name, siblings)
    return 0


def needs(metadata: dict[str, Any], name: str) -> bool:
    requirements = [*metadata.get("dependencies", []), *chain(*metadata.get("optional-dependencies", {}).values())]
    return any(canonicalize_name(Requirement(requirement).name) == name for requirement in requirements)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"wheels: exit code {error.returncode} from {error.cmd}")
