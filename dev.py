#!/usr/bin/env python3
"""Run any task of this repository; needs Python >= 3.11 (and the network, the first time) and nothing else.

    python3 dev.py demo [FOLDER]    pack FOLDER (or generated files) and read it back
    python3 dev.py check            every test and every check
    python3 dev.py TASK [ARGS...]   any other task of hatch.toml: `hatch run TASK [ARGS...]`

The first run installs uv and hatch, pinned by `constraints.txt`, into a private virtual environment under `.dev/`;
later runs start at once. Nothing is installed outside this folder (uv keeps its download cache where it always does),
nothing needs to be activated, and deleting `.dev/` undoes everything.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
CONSTRAINTS = ROOT / "constraints.txt"
# One home for each Python version: `python3.13 dev.py check` never runs in an environment that 3.11 made.
HOME = ROOT / ".dev" / "python{}.{}".format(*sys.version_info[:2])
VENV = HOME / "venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
HATCH_CONFIG = HOME / "hatch.toml"
STAMP = HOME / "ready"


def stop(message):
    sys.exit(f"dev.py: {message}")


def run_installer(*command):
    if subprocess.call([str(part) for part in command]) != 0:
        stop(
            "could not install the tools (the reason is above). The first run needs a Python package index: "
            "the public one, or the one that PIP_INDEX_URL names."
        )


def install_uv(requirement):
    """Install uv into the new environment, with whatever installer this machine has."""
    pip_options = ["install", "-qq", "--no-input", "--disable-pip-version-check", requirement]
    if importlib.util.find_spec("ensurepip"):
        # A subprocess, because a broken ensurepip must not end in a traceback.
        run_installer(sys.executable, "-m", "venv", "--clear", VENV)
        run_installer(PYTHON, "-m", "pip", *pip_options)
        return
    venv.create(VENV, clear=True, with_pip=False, symlinks=os.name != "nt")
    if importlib.util.find_spec("pip"):
        run_installer(sys.executable, "-m", "pip", "--python", PYTHON, *pip_options)
    elif shutil.which("uv"):
        run_installer("uv", "pip", "install", "--quiet", "--python", PYTHON, requirement)
    else:
        stop(
            f"{sys.executable} has neither ensurepip nor pip, and there is no uv on the PATH. Install one of them "
            "(Debian, Ubuntu: `apt install python3-venv`) and run this again."
        )


def install_tools(environ):
    constraints = CONSTRAINTS.read_text(encoding="utf-8")
    pins = dict(word.split("==", 1) for word in constraints.split() if "==" in word)
    wanted = [f"{tool}=={pins[tool]}" for tool in ("uv", "hatch")]
    # An environment that was moved does not work, and one made with other pins checks something else.
    stamp = "\n".join([str(ROOT), sys.version, constraints])
    if STAMP.is_file() and STAMP.read_text(encoding="utf-8") == stamp and PYTHON.exists():
        return
    print(f"dev.py: installing {' and '.join(wanted)} into {VENV.relative_to(ROOT)}", file=sys.stderr)
    shutil.rmtree(HOME, ignore_errors=True)
    install_uv(wanted[0])
    uv = [BIN / "uv", "pip", "install", "--quiet", "--python", PYTHON, "--constraint", CONSTRAINTS]
    os.environ.update({key: environ[key] for key in environ if key.startswith("UV_")})
    run_installer(*uv, wanted[1])
    HATCH_CONFIG.touch()  # empty: a user's own settings for hatch do not change what is checked
    STAMP.write_text(stamp, encoding="utf-8")


def environment():
    """Return the environment for hatch: own folders, own interpreter, nothing of the caller's virtual environment."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if key not in {"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
        and not key.startswith("HATCH_ENV")
    }
    if "PIP_INDEX_URL" in inherited:  # uv does not read pip's settings
        inherited.setdefault("UV_DEFAULT_INDEX", inherited["PIP_INDEX_URL"])
    return inherited | {
        "HATCH_CONFIG": str(HATCH_CONFIG),
        "HATCH_CACHE_DIR": str(HOME / "cache"),
        "HATCH_DATA_DIR": str(HOME / "hatch"),
        "HATCH_PYTHON": "self",
        "PATH": os.pathsep.join([str(BIN), inherited.get("PATH", os.defpath)]),
        "UV_PYTHON_DOWNLOADS": "never",
    }


def main(arguments):
    if sys.version_info < (3, 11):
        stop(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]} ({sys.executable}).")
    if Path(sys.prefix).resolve().is_relative_to(ROOT / ".dev"):
        # It may have to make that environment anew, which it cannot while it runs in it.
        stop(f"run this with a Python outside of {ROOT / '.dev'}, not with {sys.executable}.")
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(__doc__.strip())
        return 0 if arguments else 2
    if arguments[0] == "demo" and len(arguments) > 1 and not arguments[1].startswith("-"):
        arguments[1] = str(Path(arguments[1]).resolve())  # hatch runs in the root folder, not in the caller's
    environ = environment()
    install_tools(environ)
    command = [str(PYTHON), "-m", "hatch", "run", *arguments]
    os.chdir(ROOT)
    if os.name == "nt":
        return subprocess.call(command, env=environ)
    sys.stdout.flush()
    os.execve(command[0], command, environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
