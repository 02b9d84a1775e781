"""Trunks and branches: the same numbers as one run, pairing, resume, refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aioli.errors import InputError
from aioli.sweep.spec import TRUNK
from aioli.training import loop
from aioli.training.loop import run_spec

EVEN = {"law": 1 / 3, "code": 1 / 3, "prose": 1 / 3}


def run(spec: Any, corpus: Any, store: Path, **options: Any) -> dict[str, Any]:
    return run_spec(spec, corpus, store / spec.id, **options)


def branch_of(spec: Any, at: int, steps: int, measure: list[int], **changes: Any) -> tuple[Any, Any]:
    trunk = replace(spec, stop=at)
    branch = {"step": at, "steps": steps, "measure": measure}
    return trunk, replace(spec, branch=branch, inputs={TRUNK: trunk.id}, **changes)


@pytest.fixture
def static(make_spec: Any) -> Any:
    return make_spec("static", parameters={"proportions": EVEN})


def test_specs_without_them_have_the_ids_they_always_had(make_spec: Any) -> None:
    spec = make_spec("stratified")
    trunk, branch = branch_of(spec, 10, 5, [5])
    assert len({spec.id, trunk.id, branch.id, replace(trunk, stop=11).id}) == 4
    assert replace(spec, stop=None, branch={}).id == spec.id


def test_a_trunk_and_a_branch_to_the_end_are_the_run_itself(corpus: Any, static: Any, tmp_path: Path) -> None:
    whole = run(static, corpus, tmp_path)
    trunk, branch = branch_of(static, 17, 23, [0, 5, 23])
    stopped = run(trunk, corpus, tmp_path)
    assert stopped["steps"] == 17 and "test" not in stopped
    went_on = run(branch, corpus, tmp_path)
    assert went_on["weights_sha256"] == whole["weights_sha256"]
    points = went_on["branch"]["points"]
    assert [point["step"] for point in points] == [0, 5, 23]
    assert [sum(point["drawn"]) for point in points] == [0, 30, 138]
    whole_losses = run(replace(static, validation=True), corpus, tmp_path, resume=True)["validation"]["end"]
    assert points[-1]["loss"] == whole_losses


def test_branches_differ_only_by_their_mixtures(corpus: Any, static: Any, tmp_path: Path) -> None:
    skewed = {"law": 0.8, "code": 0.1, "prose": 0.1}
    trunk, even = branch_of(static, 20, 12, [0, 4, 12])
    _, other = branch_of(static, 20, 12, [0, 4, 12], parameters={"proportions": skewed})
    run(trunk, corpus, tmp_path)
    first, second = run(even, corpus, tmp_path), run(other, corpus, tmp_path)
    starts = [result["branch"]["points"][0]["loss"] for result in (first, second)]
    assert starts[0] == starts[1]
    assert first["weights_sha256"] != second["weights_sha256"]
    assert second["branch"]["points"][-1]["drawn"] == pytest.approx([57.6, 7.2, 7.2], abs=1)


def test_a_method_begins_anew_in_a_branch(corpus: Any, make_spec: Any, static: Any, tmp_path: Path) -> None:
    trunk = replace(static, stop=15)
    aioli = make_spec("aioli", parameters={"sweeps": 1, "probe_steps": 2, "round_steps": 12})
    branch = {"step": 15, "steps": 20, "measure": []}
    run(trunk, corpus, tmp_path)
    result = run(replace(aioli, branch=branch, inputs={TRUNK: trunk.id}), corpus, tmp_path)
    assert result["steps"] == 20 and result["matrices"][0]["step"] == 6  # no warm-up to wait for
    assert np.isfinite(result["matrices"][0]["values"]).all()


def test_a_stopped_branch_and_a_stopped_trunk_resume(
    corpus: Any, static: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "PROGRESS_SECONDS", 0)
    trunk, branch = branch_of(static, 14, 20, [0, 6, 13, 20])
    expected = [run(spec, corpus, tmp_path / "whole") for spec in (trunk, branch)]
    found = []
    for spec, at in ((trunk, 5), (branch, 9)):
        spec = replace(spec, train=replace(spec.train, checkpoint_every=1))

        def stop(state: dict[str, Any], at: int = at) -> None:
            if state["step"] >= at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_spec(spec, corpus, tmp_path / "cut" / spec.id, on_progress=stop)
        found.append(run(spec, corpus, tmp_path / "cut", resume=True))
    for ours, theirs in zip(found, expected, strict=True):
        assert ours["weights_sha256"] == theirs["weights_sha256"]
    assert found[1]["branch"] == expected[1]["branch"]


def test_what_does_not_fit_is_refused(corpus: Any, static: Any, tmp_path: Path) -> None:
    trunk, branch = branch_of(static, 10, 5, [5])
    with pytest.raises(InputError, match="checkpoint is missing"):
        run(branch, corpus, tmp_path)
    run(trunk, corpus, tmp_path)
    wrong = replace(branch, branch={"step": 9, "steps": 5, "measure": []})
    with pytest.raises(InputError, match=r"begins at step 9, but run \w+ ended at 10"):
        run(wrong, corpus, tmp_path)
    for bad in ({"step": 30, "steps": 11, "measure": []}, {"step": 0, "steps": 5, "measure": []}):
        with pytest.raises(InputError, match="a branch begins at step 1 or later"):
            run(replace(branch, branch=bad), corpus, tmp_path)
    with pytest.raises(InputError, match="measures after 0 to 5 of them"):
        run(replace(branch, branch={"step": 10, "steps": 5, "measure": [6]}), corpus, tmp_path)


def test_a_trunk_is_read_back_as_it_was_written(corpus: Any, static: Any, tmp_path: Path) -> None:
    trunk, _ = branch_of(static, 12, 5, [5])
    result = run(trunk, corpus, tmp_path)
    kept = json.loads((tmp_path / trunk.id / "result.json").read_text())
    assert kept == result == run(trunk, corpus, tmp_path, resume=True)


def test_another_order_of_the_data_is_exact_under_resume(corpus: Any, static: Any, tmp_path: Path) -> None:
    trunk, same = branch_of(static, 14, 20, [0, 20])
    other = replace(same, branch=same.branch | {"shuffle": 1})
    run(trunk, corpus, tmp_path)
    first, second = run(same, corpus, tmp_path), run(other, corpus, tmp_path)
    ends = [result["branch"]["points"] for result in (first, second)]
    assert ends[0][0] == ends[1][0] and ends[0][1]["drawn"] == ends[1][1]["drawn"]
    assert ends[0][1]["loss"] != ends[1][1]["loss"]

    def stop(state: dict[str, Any]) -> None:
        if state["step"] >= 7:
            raise KeyboardInterrupt

    (tmp_path / "again").mkdir()
    (tmp_path / "again" / trunk.id).symlink_to(tmp_path / trunk.id)
    with pytest.raises(KeyboardInterrupt):
        run(other, corpus, tmp_path / "again", on_progress=stop)
    resumed = run(other, corpus, tmp_path / "again", resume=True)
    assert resumed["weights_sha256"] == second["weights_sha256"]
    assert resumed["branch"] == second["branch"]


def test_a_probing_method_does_not_wait_for_warm_up_in_a_branch(
    corpus: Any, make_spec: Any, static: Any, tmp_path: Path
) -> None:
    trunk = replace(static, stop=2)  # of 4 steps of warm-up
    run(trunk, corpus, tmp_path)
    aioli = make_spec("aioli", parameters={"sweeps": 1, "probe_steps": 2, "round_steps": 7})
    branch = {"step": 2, "steps": 7, "measure": []}
    result = run(replace(aioli, branch=branch, inputs={TRUNK: trunk.id}), corpus, tmp_path)
    assert [each["step"] for each in result["matrices"]] == [6]
