"""The service that is asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .asking import Asked


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with Asked(tmp_path_factory.mktemp("asked") / "store") as asked:
        yield asked
