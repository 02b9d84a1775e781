"""A method inside another takes what it needs from finished runs, as it does alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aioli.training.loop import run_spec


@pytest.mark.parametrize(
    ("name", "parameters", "place"),
    [
        ("guarded", {"method": "sheared", "block_steps": 5}, "method"),
        ("after", {"first": "stratified", "steps": 20, "then": {"sheared": {"eta": 2.0}}}, "then"),
    ],
)
def test_it_trains_as_with_the_targets_given_and_goes_on_after_a_stop(
    name, parameters, place, corpus, make_spec, tmp_path
):
    reference = replace(make_spec("stratified"), validation=True)
    ends = run_spec(reference, corpus, tmp_path / reference.id)["validation"]["end"]
    targets = dict(zip(corpus.groups, ends, strict=True))
    eta = {"eta": 2.0} if place == "then" else {}
    inner = {"sheared": eta | {"target_losses": targets}}
    given = make_spec(name, steps=60, parameters=parameters | {place: inner})
    expected = run_spec(given, corpus, tmp_path / given.id)

    spec = replace(make_spec(name, steps=60, parameters=parameters), inputs={"reference": reference.id})

    def stop(state):
        if state["step"] < 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_spec(spec, corpus, tmp_path / spec.id, on_progress=stop)
    result = run_spec(spec, corpus, tmp_path / spec.id, resume=True)
    assert result["weights_sha256"] == expected["weights_sha256"]
    assert result["resolved"] == {place: inner} and result["parameters"] == spec.parameters
