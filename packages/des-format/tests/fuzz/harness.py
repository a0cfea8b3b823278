"""Fuzz every parser with atheris: `python harness.py [libFuzzer options] [corpus folders]`.

New inputs go to the first folder that is named; `corpus/` beside this file holds the ones worth
keeping. A crash is written to a file, which `python harness.py FILE` runs again.
"""

from __future__ import annotations

import importlib
import sys

atheris = importlib.import_module("atheris")
with atheris.instrument_imports(include=["des_format"]):
    targets = importlib.import_module("targets")

if __name__ == "__main__":
    atheris.Setup(sys.argv, targets.check)
    atheris.Fuzz()
