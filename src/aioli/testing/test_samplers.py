"""`pytest --pyargs aioli.testing`: the conformance suite over the loader."""

from __future__ import annotations

import pytest

from aioli.data.loader import Loader
from aioli.testing.samplers import CHECKS


@pytest.mark.parametrize("check", CHECKS)
def test_loader(check: str) -> None:
    CHECKS[check](Loader)
