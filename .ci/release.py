"""Build the one distribution that a release tag names: python .ci/release.py DISTRIBUTION-vVERSION [--publish].

The tag, the version in pyproject.toml and a dated heading in CHANGELOG.md have to agree. The sdist and the wheel are
left in `dist/`; with --publish, `uv publish` uploads exactly these two (UV_PUBLISH_URL and UV_PUBLISH_TOKEN say where
and as whom).
"""

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TAG = re.compile(r"(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*?)-v(?P<version>[0-9][0-9a-z.]*)")


def project_of(tag: str) -> Path:
    """Return the folder of the distribution that `tag` releases, after checking that everything agrees with the tag."""
    if not (match := TAG.fullmatch(tag)):
        raise SystemExit(f"release: {tag!r} is not DISTRIBUTION-vVERSION")
    name, version = match["name"], match["version"]
    project = ROOT / "packages" / name
    if not (project / "pyproject.toml").is_file():
        known = ", ".join(sorted(path.parent.name for path in ROOT.glob("packages/*/pyproject.toml")))
        raise SystemExit(f"release: there is no distribution {name!r}; there are: {known}")
    found = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if found != version:
        raise SystemExit(f"release: the tag says {version}, packages/{name}/pyproject.toml says {found}")
    changelog = (project / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d{{2}}-\d{{2}}$", changelog, re.MULTILINE):
        raise SystemExit(f"release: packages/{name}/CHANGELOG.md has no line '## [{version}] - YYYY-MM-DD'")
    return project


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tag")
    parser.add_argument("--publish", action="store_true")
    options = parser.parse_args()
    project = project_of(options.tag)
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", dist], cwd=project, check=True)
    files = sorted(dist.iterdir())
    print(f"release: built {', '.join(path.name for path in files)}", flush=True)
    if options.publish:
        subprocess.run(["uv", "publish", "--trusted-publishing", "never", *files], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
