"""Which mixture `guarded` is held at, where the config does not say."""

from __future__ import annotations

from typing import Any

import pytest

from aioli.config import load

GROUPS = {"law": {"paths": ["x"]}, "code": {"paths": ["y"]}}


def default_of(method: Any, **data: Any) -> Any:
    config = load({"data": {"groups": GROUPS} | data, "methods": [{"guarded": method}], "seeds": [0]})
    return config.methods[0].parameters.get("default")


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ({"method": "aioli"}, "similar"),
        ({"method": {"aioli": {"eta": 0.5}}}, "similar"),
        ({"method": {"aioli": {"prior": {"law": 0.7, "code": 0.3}}}}, None),
        ({"method": "aioli", "default": "stratified"}, "stratified"),
    ],
)
def test_similar_where_the_targets_are_not_the_groups(method: Any, expected: Any) -> None:
    assert default_of(method, targets={"news": {"paths": ["z"]}}) == expected


def test_the_methods_own_choice_where_they_are() -> None:
    assert default_of({"method": "aioli"}) is None
