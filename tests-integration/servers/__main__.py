"""Which servers for tests this machine has, and how to get the others.

python -m servers            list them
python -m servers install    install what is missing and can be installed
"""

from __future__ import annotations

import argparse
import sys

from servers.debian import install
from servers.kinds import KINDS


def show() -> None:
    for kind in KINDS.values():
        lacking = kind.missing()
        state = f"missing: {lacking}" if lacking else f"{kind.version():10} ready"
        print(f"{kind.name:8} {state}")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="servers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", nargs="?", choices=["list", "install"], default="list")
    if parser.parse_args().task == "install":
        for kind in KINDS.values():
            if kind.packages and kind.missing():
                install(kind.name, kind.packages)
    show()
    return 0


if __name__ == "__main__":
    sys.exit(main())
