"""What a diagnosis adds to the page: sections, tables, and a conclusion that stays within its intervals."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import stdtrit

from aioli.analysis.comparison import compare_runs
from aioli.analysis.diagnosis import pooled
from aioli.fitting.dynamic import fit_dynamic
from aioli.jobs.output import read_diagnoses
from aioli.report.law import law_part
from aioli.report.law_page import write_diagnosis_page
from aioli.report.law_reading import conclude, critical_of_gains, curved
from aioli.report.page import render_page
from aioli.report.what_if import what_if_of_diagnosis

Make = Callable[..., Any]


def test_a_comparison_shows_the_diagnoses_beside_it(runs: Make, diagnosis: Make) -> None:
    results = compare_runs(runs(seeds=2))
    text = render_page(results, [diagnosis(), diagnosis(groups=4)])
    for part in ("law-0", "what-if-0", "law-1", "what-if-1"):
        assert f'<section id="{part}"' in text and f'href="#{part}"' in text
    assert "Law of aioli, seed 0" in text and "law-0" not in render_page(results)


def test_five_seeds_of_nine_methods_and_a_diagnosis_stay_below_three_megabytes(
    runs: Make, diagnosis: Make
) -> None:
    methods = ("stratified", "aioli", *(f"method-{number}" for number in range(7)))
    results = compare_runs(runs(methods=methods, seeds=5))
    text = render_page(results, [diagnosis(groups=7, steps=(100, 300, 600))])
    assert len(text.encode()) < 3e6


def test_every_checkpoint_and_horizon_can_be_chosen(diagnosis: Make) -> None:
    part = law_part(diagnosis())
    titles = [choice.title for choice in part.matrices.choices]
    assert titles == [f"step {step}, {horizon} steps on" for step in (300, 600) for horizon in (10, 50)]
    assert [choice.chosen for choice in part.matrices.choices] == [False] * 3 + [True]
    assert [len(choice.figures) for choice in part.matrices.choices] == [3] * 4  # A*, and two methods'
    assert "±" in part.matrices.choices[0].figures[0].svg
    assert part.fidelity is not None and len(part.fidelity.rows) == 8
    assert part.over_time is not None and [f.title for f in part.over_time.figures] == [
        "Horizon 10 steps",
        "Horizon 50 steps",
    ]


def test_the_conclusion_follows_the_intervals(diagnosis: Make) -> None:
    found = diagnosis()
    assert "aioli ranks the groups alike" in conclude(found)
    assert "wrong ranks them the other way" in conclude(found)
    assert "The targets gain more from" in conclude(found)
    noisy = copy.deepcopy(found)
    law = noisy["points"][-1]["laws"][-1]
    law["gain_errors"] = [10.0] * 3
    law["sums_held_out_r2"] = -0.2
    for row in noisy["points"][-1]["fidelity"]:
        row["centred"] |= {"low": -0.5, "high": 0.9}
    told = conclude(noisy)
    assert "No group's gain can be told from the mean group's." in told
    assert "no better than the others' mean does" in told
    assert "What aioli and wrong measured cannot be told from an unrelated law here." in told


def test_gains_are_told_with_their_own_errors_and_degrees_of_freedom(diagnosis: Make) -> None:
    """Those of the column sums contain the error of the trend common to all groups, which gains do not."""
    found = diagnosis()
    law = found["points"][-1]["laws"][-1]
    assert (law["branches"], law["freedom"], law["gain_freedom"]) == (7, 4, 3)
    assert critical_of_gains(law) == pytest.approx(stdtrit(3, 0.975))
    law["sum_errors"] = [10.0] * 3
    law["gains"], law["gain_errors"] = [0.03, -0.02, -0.01], [0.03 / 3.3, 0.02 / 3.1, 0.01 / 3.1]
    assert "The targets gain more from group-0 than from the mean group." in conclude(found)
    marks = [cell.mark for cell in law_part(found).gains.rows[-1][2:]]
    assert marks == ["lower", "undecided", "undecided"]
    law["curvature"], law["curvature_error"] = [0.031, 0.032, None], [0.01, 0.01, None]
    assert curved(law) == 1  # 3.182 standard errors make an interval of three degrees of freedom


def test_of_several_seeds_the_conclusion_is_that_of_their_means(diagnosis: Make) -> None:
    found = diagnosis(seeds=3)
    assert conclude(found).startswith("Over 3 seeds, from step 600 over 50 steps, the linear law predicts")
    part = law_part(found)
    assert len(part.matrices.choices) == 4
    assert part.by_seed is not None and [len(table.rows) for table in part.by_seed] == [12, 12]
    assert len(part.quality.rows) == len(part.gains.rows) == 4
    row = found["pooled"][-1]
    shown = part.gains.rows[-1][2:]
    assert [cell.text for cell in shown] == [f"{100 * gain:+.2f}" for gain in row["gains"]]
    sure = np.abs(row["gains"]) > stdtrit(2, 0.975) * np.array(row["gain_errors"])
    assert [cell.mark != "undecided" for cell in shown] == sure.tolist()
    held_out = [
        point["laws"][-1]["sums_held_out_r2"] for point in found["points"] if point["step"] == row["step"]
    ]
    assert part.quality.rows[-1][4].value == pytest.approx(np.median(held_out))
    assert law_part(diagnosis()).by_seed is None
    for row in found["pooled"]:
        row["gain_errors"] = [None] * 3
    assert "No group's gain can be told" in conclude(found)


def test_a_fitted_r2_is_not_told_as_held_out(diagnosis: Make) -> None:
    found = diagnosis(seeds=2)
    points = copy.deepcopy(found["points"])
    for point in points:
        for law in point["laws"]:
            law["sums_held_out_r2"] = None
    rows = pooled(points)
    assert [row["r2"] for row in rows] == [None] * 4 and rows[-1]["fitted_r2"] > 0.5
    assert "too few branches to leave one out" in conclude(found | {"points": points, "pooled": rows})


def test_what_one_run_would_measure_scatters_more_than_means_over_orders(diagnosis: Make) -> None:
    found = diagnosis(steps=(300,)) | {"orders": 4}
    law = found["points"][0]["laws"][0] | {"order_noise": [0.01, 0.02, 0.0], "sums_order_noise": 0.03}
    found["points"][0]["laws"] = [law]
    asked = what_if_of_diagnosis(found, "what-if")
    assert asked is not None
    (choice,) = json.loads(asked.data)["choices"]
    noise = np.array([*law["noise"], law["sums_noise"] / 3])
    expected = np.sqrt(noise**2 + 0.75 * np.array([0.01, 0.02, 0.0, 0.01]) ** 2)
    np.testing.assert_allclose(choice["law"]["one_run"], expected, rtol=1e-6)


def test_the_page_of_a_diagnosis_alone(diagnosis: Make, tmp_path: Path) -> None:
    write_diagnosis_page(diagnosis(), tmp_path / "diagnosis.html")
    text = (tmp_path / "diagnosis.html").read_text()
    assert "<h1>Diagnosis of aioli</h1>" in text and "http" not in text.replace("http-equiv", "")


def test_a_diagnosis_without_methods_or_covariances(diagnosis: Make) -> None:
    found = diagnosis(steps=(300,))
    for point in found["points"]:
        point["fidelity"] = []
        for law in point["laws"]:
            del law["variances"]
    part = law_part(found)
    assert part.fidelity is None and part.what_if is None and part.over_time is None


def test_damaged_diagnoses_are_left_out(tmp_path: Path) -> None:
    for name, text in (("a", "{"), ("b", '{"version": 2}'), ("c", '{"version": 1, "points": [1]}')):
        (tmp_path / f"diagnosis-{name}").mkdir()
        (tmp_path / f"diagnosis-{name}" / "diagnosis.json").write_text(text)
    assert read_diagnoses(tmp_path) == [{"version": 1, "points": [1]}]


@pytest.mark.parametrize("branches", [8, 20])
def test_covariances_share_their_axes(branches: int) -> None:
    rng = np.random.default_rng(0)
    mixtures = rng.dirichlet(np.ones(10 if branches == 8 else 4), size=branches)
    changes = mixtures @ rng.normal(size=(mixtures.shape[1], 5)) + 0.05 * rng.normal(size=(branches, 5))
    fit = fit_dynamic(mixtures, changes)
    axes, variances = fit.principal
    again = np.einsum("lj,nl,lk->njk", axes, variances, axes)
    np.testing.assert_allclose(again, fit.covariance, atol=1e-9 * float(np.abs(fit.covariance).max()))
