"""`aioli sweep design`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aioli.cli.options import ConfigPath, Set

if TYPE_CHECKING:
    from aioli.jobs.design import MadeDesign

__all__ = ["TargetTokens", "design"]

ROWS = 40
"""Groups told of, the largest proportions first."""

TargetTokens = Annotated[
    float | None,
    typer.Option(
        "--target-tokens", metavar="N", help="Tokens of the run that this one is a small version of."
    ),
]
KIND_HELP = (
    "dirichlet: draws around a centre; space: mixtures far from each other; one-hot: each group alone; "
    "smoothed: mostly one group; grid; optimal: the best runs to fit a law."
)


def design(
    config: ConfigPath,
    kind: Annotated[str, typer.Option("--kind", help=KIND_HELP)] = "dirichlet",
    runs: Annotated[
        int | None, typer.Option("--runs", metavar="K", help="Default: 3 (m + 1) for m groups.")
    ] = None,
    centre: Annotated[
        str, typer.Option("--centre", help="Of dirichlet: natural, uniform, or a file of proportions.")
    ] = "natural",
    temperature: Annotated[
        float, typer.Option("--temperature", help="Natural proportions are N^(1/temperature).")
    ] = 1.0,
    strength: Annotated[
        list[float] | None,
        typer.Option("--strength", help="Of dirichlet; repeatable. Default: 15 from 0.1 to 5, as RegMix."),
    ] = None,
    min_weight: Annotated[
        float, typer.Option("--min-weight", metavar="W", help="Proportions below become 0.")
    ] = 0.0,
    focus: Annotated[
        float, typer.Option("--focus", help="Of smoothed: each run's weight of its group.")
    ] = 0.75,
    law: Annotated[
        str, typer.Option("--law", help="Of optimal: linear, log_linear or additive.")
    ] = "log_linear",
    criterion: Annotated[str, typer.Option("--criterion", help="Of optimal: D or A.")] = "D",
    augment: Annotated[
        Path | None,
        typer.Option("--augment", metavar="DESIGN", help="Keep these runs, and add K that complement them."),
    ] = None,
    target_tokens: TargetTokens = None,
    seed: Annotated[int, typer.Option("--seed", help="Of all that is random.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="YAML, or a table such as .csv; default: standard output."
        ),
    ] = None,
    overrides: Set = None,
) -> None:
    """Write a list of mixtures to train on, within the config's constraints."""
    from aioli.config import load
    from aioli.jobs.design import DesignSettings, make_design
    from aioli.jobs.design_files import check_design_file, design_text, write_design

    if out is not None:
        check_design_file(out)
    checked = load(config, overrides or [], methods=False)
    given: dict[str, Any] = {"kind": kind, "criterion": criterion}
    settings = DesignSettings(
        **given,
        runs=runs,
        centre=centre,
        temperature=temperature,
        strengths=tuple(strength or ()),
        min_weight=min_weight,
        focus=focus,
        law=law,
        augment=None if augment is None else _earlier(augment, tuple(checked.data.groups)),
        target_tokens=None if target_tokens is None else round(target_tokens),
        seed=seed,
    )
    made = make_design(checked, config, settings)
    for line in _summary(made):
        typer.echo(line, err=True)
    if out is None:
        typer.echo(design_text(made.by_group()), nl=False)
        return
    write_design(made.by_group(), out)
    typer.echo(f"{_runs(len(made.mixtures))}: {out}")


def _earlier(path: Path, groups: tuple[str, ...]) -> Any:
    import numpy as np

    from aioli.jobs.design_files import read_design

    return np.array([[mixture[name] for name in groups] for mixture in read_design(path, groups)])


def _runs(count: int) -> str:
    return f"{count} run{'s' * (count != 1)}"


def _summary(made: MadeDesign) -> list[str]:
    """One screen: runs, the range of each group, and what the data is asked for."""
    mixtures, most = made.mixtures, made.mixtures.max(axis=0)
    width = max(len(name) for name in made.groups)
    lines = [
        f"{_runs(len(mixtures))} on {len(made.groups)} groups; 3 (m + 1) = {made.suggested} are recommended",
        f"{'group':{width}}  {'least':>7} {'mean':>7} {'most':>7}  {'in runs':>7}  epochs at most",
    ]
    order = sorted(range(len(most)), key=lambda j: -most[j])[:ROWS]
    for j in order:
        column = mixtures[:, j]
        lines.append(
            f"{made.groups[j]:{width}}  {column.min():7.2%} {column.mean():7.2%} {column.max():7.2%}  "
            f"{int((column > 0).sum()):7}  {made.epochs[j]:.3g}"
        )
    if len(most) > len(order):
        lines.append(f"... and {len(most) - len(order)} groups of smaller proportions")
    if len(mixtures) > 1:
        lines.append(f"the two nearest mixtures differ in {made.closest:.2%} of their data")
    about = ", with the groups' tokens estimated from file sizes" if made.estimated else ""
    lines.append(f"epochs are those of a run of {made.target_tokens:,} tokens{about}")
    return lines
