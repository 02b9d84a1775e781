"""What works with the extra `train` alone: a user of the main job need not install the offline side."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {"scikit-learn": "sklearn"}
"""Names that packages are imported by, where these differ."""


def only_offline() -> list[str]:
    """Modules of the packages that `offline` installs and `train` does not."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    train, offline = ({each.split(">")[0] for each in extras[name]} for name in ("train", "offline"))
    return sorted(MODULES.get(name, name) for name in offline - train)


@pytest.fixture
def without_offline(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes begun from here find modules that say what Python says where they are not installed."""
    hidden = project / "hidden"
    hidden.mkdir()
    for name in only_offline():
        refusal = f"raise ModuleNotFoundError(\"No module named '{name}'\", name={name!r})\n"
        (hidden / f"{name}.py").write_text(refusal)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(hidden), os.environ.get("PYTHONPATH", "")]))


def test_the_packages_hidden_are_those_of_the_offline_side() -> None:
    assert only_offline() == ["clarabel", "lightgbm", "sklearn", "threadpoolctl"]


def test_compare_and_diagnose_need_no_package_of_the_offline_side(without_offline, shell, project):
    compare = ("compare", "mix.yaml", "--out", "o", "--set", "seeds=[0]", "--set", "train.steps=8", "--quiet")
    diagnose = ("diagnose", "o", "--method", "stratified", "--at", "4", "--horizon", "2", "--sequences", "4")
    for command in (compare, diagnose):
        with shell(*command) as process:
            _, err = process.communicate(timeout=180)
        assert process.returncode == 0, err
    assert (project / "o" / "report.html").exists()
    assert json.loads((project / "o" / "diagnosis" / "diagnosis.json").read_text())["points"]


def test_without_the_offline_side_methods_lists_the_others_and_fit_says_what_to_install(
    without_offline, shell
):
    with shell("methods") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "skill_it" in out
    assert "offline methods are not listed" in err
    assert "aioli[offline]" in err
    with shell("fit", "o", "--out", "fit.json") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "pip install 'aioli[offline]'" in err
    assert "Traceback" not in err
