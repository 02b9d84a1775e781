"""`pytest --pyargs aioli.testing`: the conformance suite over every method in the registry."""

from __future__ import annotations

import warnings
from functools import partial

import pytest

from aioli.errors import MixingWarning
from aioli.methods import registry
from aioli.testing.conformance import CHECKS


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", registry.names())
def test_method(name: str, check: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MixingWarning)
        CHECKS[check](partial(registry.example, name))
