"""Run the kept inputs of the fuzzer, then the fuzzer itself for a short time."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parent
CORPUS = FOLDER / "corpus"
EXECUTIONS = 20_000
SECONDS = 12


@pytest.fixture(scope="module")
def targets() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_targets", FOLDER / "targets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_kept_input_is_read_or_refused(targets: ModuleType) -> None:
    kept = sorted(CORPUS.iterdir())
    assert sum(path.stat().st_size for path in kept) < 300_000
    assert {path.read_bytes()[0] % len(targets.TARGETS) for path in kept} == set(range(len(targets.TARGETS)))
    for path in kept:
        try:
            targets.check(path.read_bytes())
        except BaseException as error:
            error.add_note(f"corpus/{path.name}")
            raise


def test_random_changes_of_sound_inputs_are_read_or_refused(targets: ModuleType) -> None:
    chance = random.Random(20251125)
    for seed in targets.seeds():
        targets.check(seed)
        for _ in range(15):
            data = bytearray(seed)
            for _ in range(chance.randint(1, 6)):
                data[chance.randrange(1, len(data))] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
            try:
                targets.check(bytes(data))
            except BaseException as error:
                error.add_note(bytes(data).hex())
                raise


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="needs atheris, which has no wheel for this Python"
)
def test_the_fuzzer_finds_nothing(tmp_path: Path) -> None:
    limits = [f"-runs={EXECUTIONS}", f"-max_total_time={SECONDS}", "-timeout=10", "-rss_limit_mb=1024", "-max_len=8192"]
    command = [sys.executable, str(FOLDER / "harness.py"), *limits, f"-artifact_prefix={tmp_path}/", "-verbosity=0"]
    (tmp_path / "found").mkdir()
    done = subprocess.run([*command, str(tmp_path / "found"), str(CORPUS)], capture_output=True, text=True)
    crashes = [path.read_bytes().hex() for path in tmp_path.iterdir() if path.is_file()]
    assert done.returncode == 0, f"{done.stderr[-4000:]}\ninput: {crashes}"
    assert not crashes
