#!/bin/sh
# Make a virtual environment of wheels of this repository and of exactly what requirements.txt pins:
# services/des-retriever/install.sh FOLDER. The Dockerfile calls it, and so does a test; it needs uv and a Python.
set -eu
target=$1
cd "$(dirname "$0")/../.."
wheels=$(mktemp -d)
trap 'rm -r "$wheels"' EXIT
for name in des-cache des-format des-retriever-http des-s3; do
  uv build --quiet --wheel --build-constraints constraints.txt --out-dir "$wheels" "packages/$name"
done
uv venv --quiet --python "${PYTHON:-python3}" "$target"
uv pip install --quiet --python "$target" --only-binary :all: --require-hashes -r services/des-retriever/requirements.txt
uv pip install --quiet --python "$target" --no-deps --no-index "$wheels"/*.whl
uv pip check --quiet --python "$target"
