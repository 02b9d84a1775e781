"""`pytest --pyargs aioli.testing`: the conformance suite over every method in the registry."""

from __future__ import annotations

import warnings

import pytest

from aioli.errors import MixingWarning
from aioli.methods import registry
from aioli.testing.conformance import CHECKS

REQUIRED = {"static": {"proportions": [0.5, 0.3, 0.2]}}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", registry.names())
def test_method(name: str, check: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MixingWarning)
        CHECKS[check](registry.build(name, REQUIRED.get(name)))
