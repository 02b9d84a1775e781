"""The jobs themselves, the same for Python and the command line: tokenize, similar, train, compare, ..."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from aioli.config import Config, load
from aioli.data.shards import Corpus
from aioli.demo import corpus as demo_corpus
from aioli.errors import InputError
from aioli.files import replace_file, write_errors_explained
from aioli.jobs.corpus import tokenized
from aioli.jobs.names import TOKENS, Source, choose_method, default_out, train_out
from aioli.jobs.output import Plan, write_results
from aioli.jobs.regroup import regroup
from aioli.jobs.runs import carry_out
from aioli.jobs.similar import describe
from aioli.jobs.watch import Watch
from aioli.sweep import local
from aioli.sweep.runner import ATTEMPTS, Runner
from aioli.sweep.store import Store

__all__ = ["compare", "demo", "report", "similar", "tokenize", "train"]

QUIET = Watch()


def tokenize(
    config: Source,
    *,
    out: Path | str | None = None,
    resume: bool = False,
    overrides: Iterable[str] = (),
    workers: int | None = None,
    watch: Watch = QUIET,
) -> Corpus:
    """Tokenise a config's data into `out`/data (or `data.tokens`) and return the corpus.

    What is tokenised there already, of unchanged texts and settings, is opened and not made again.

    Raises:
        InputError: a wrong config, unusable data, or an output directory that is used or busy.
    """
    checked = _checked(config, overrides, methods=False)
    with Store(_out(config, checked, out), resume=resume, ignore=(TOKENS,)) as store:
        return tokenized(checked, store, watch, workers)


def similar(
    config: Source,
    *,
    out: Path | str | None = None,
    overrides: Iterable[str] = (),
    workers: int | None = None,
    watch: Watch = QUIET,
) -> dict[str, Any]:
    """What the texts say before any training, as `aioli similar --json` prints it.

    The corpus is tokenised where it is not there yet; nothing else is written, so `out` may be in use.

    Returns:
        groups, targets, and `priors`: for every different `similar` of the config (one with its defaults
        where there is none) divergences, tau and why, the mixture, and the text shared with the targets.

    Raises:
        InputError: a wrong config, unusable data, or an output directory that is busy.
    """
    checked = _checked(config, overrides, methods=False)
    with Store(_out(config, checked, out), resume=True) as store:
        return describe(checked, tokenized(checked, store, watch, workers))


def train(
    config: Source,
    *,
    method: str | None = None,
    seed: int | None = None,
    out: Path | str | None = None,
    resume: bool = False,
    parents: Mapping[str, Sequence[str]] | None = None,
    overrides: Iterable[str] = (),
    workers: int | None = None,
    use: Literal["mixture", "model"] | None = None,
    reference: Path | str | None = None,
    proportions: Path | str | None = None,
    watch: Watch = QUIET,
) -> dict[str, Any]:
    """Train once and return the content of `results.json` for that single run.

    Runs that the method needs first (a reference, a proxy, one-hot runs) are trained before it.

    Args:
        config: path of a YAML file, a mapping of the same shape, or a loaded `Config`.
        method: a label or name from the config's methods, or any other method with its defaults; None:
            the config's first.
        seed: None: the config's first.
        out: output directory; None: named from the config, the method and the seed under `runs/`.
        resume: continue what is there; without it a used directory is refused. Where the config has other
            groups or targets than the run so far, it goes on with those (`aioli.jobs.regroup`).
        parents: new group -> old groups that it comes from, where that is not the one of its name.
        workers: runs at a time; None: as many as there are cores for.
        use: "mixture" trains on the mixture that the method's run concludes with, "model" takes that run
            itself; None: as published.
        reference: the directory of a finished run to read as the reference, or a method to train for it.
        proportions: a JSON or YAML file with the proportions of a method that takes them, such as static.

    Raises:
        InputError: a wrong config, unusable data, an output directory that is used or busy, a reference
            that does not fit, or a run that failed (`RunsFailed`).
    """
    checked = _checked(config, overrides, methods=False)
    choice = choose_method(checked, method, use=use, reference=reference, proportions=proportions)
    seed = checked.seeds[0] if seed is None else seed
    if seed < 0:
        raise InputError(f"seed must be a whole number >= 0, got {seed}")
    where = Path(out) if out is not None else train_out(config, checked.title, choice.label, seed)
    with Store(where, resume=resume, ignore=(TOKENS,)) as store:
        single = replace(checked, methods=(choice,), seeds=(seed,), stopping=None)
        regroup(single, store, parents or {}, watch)
        return carry_out(single, store, workers, watch)


def compare(
    config: Source,
    *,
    out: Path | str | None = None,
    workers: int | None = None,
    resume: bool = False,
    overrides: Iterable[str] = (),
    attempts: int = ATTEMPTS,
    runner: Runner = local.run,
    watch: Watch = QUIET,
) -> dict[str, Any]:
    """Train every method with every seed, compare them, and return the content of `results.json`.

    Args:
        config: path of a YAML file, a mapping of the same shape, or a loaded `Config`.
        out: output directory; None: named from the config under `runs/`.
        workers: runs at a time; None: as many as there are cores for.
        resume: continue what is there; without it a used directory is refused.
        overrides: `key=value` texts, as for `--set`.
        attempts: how often a run is started at most. runner: `aioli.sweep.local.run`, or that of a cluster
            (`aioli.sweep.ray.run`, with its address filled in by `functools.partial`).

    Raises:
        InputError: a wrong config, unusable data, an output directory that is used or busy, or runs
            that failed (`RunsFailed`, after the results of the others were written).
    """
    checked = _checked(config, overrides)
    with Store(_out(config, checked, out), resume=resume, ignore=(TOKENS,)) as store:
        return carry_out(checked, store, workers, watch, attempts=attempts, runner=runner)


def demo(
    *,
    out: Path | str = "runs/demo",
    workers: int | None = None,
    resume: bool = False,
    overrides: Iterable[str] = (),
    watch: Watch = QUIET,
) -> dict[str, Any]:
    """Build the embedded corpus and its config in `out`, and compare; returns as `compare` does."""
    with Store(Path(out), resume=resume) as store:
        watch.message("building the demo corpus from installed packages")
        with write_errors_explained(store.out, "free some space, then continue with --resume"):
            demo_corpus.build(store.out / "corpus")
            text = files("aioli.demo").joinpath("config.yaml").read_text(encoding="utf-8")
            replace_file(store.out / "config.yaml", text)
        checked = load(store.out / "config.yaml", overrides)
        return carry_out(checked, store, workers, watch)


def report(out: Path | str) -> dict[str, Any]:
    """Write the results of an output directory again from its finished runs, and return them.

    Raises:
        InputError: not an output directory, a busy one, or one without a finished run.
    """
    plan = Plan(Path(out))
    with Store(Path(out), resume=True) as store:
        specs = plan.specs()
        results = store.finished(specs)
        if not results:
            raise InputError(f"no run in {out} is finished yet: continue it with --resume")
        finished = {(result["label"], result["seed"]) for result in results}
        unfinished = [
            {"label": run["label"], "seed": run["seed"], "message": "no result yet"}
            for run in plan.runs
            if (run["label"], run["seed"]) not in finished
        ]
        try:
            corpus = Corpus.open(plan.corpus)
        except InputError:
            corpus = None  # moved or deleted: the table of data is left empty
        with write_errors_explained(store.out, "free some space, then run `aioli report` again"):
            return write_results(store.out, plan.config, results, unfinished, corpus)


def _checked(config: Source, overrides: Iterable[str], *, methods: bool = True) -> Config:
    if not isinstance(config, Config):
        return load(config, overrides, methods=methods)
    if list(overrides):
        raise InputError("overrides apply to a config file or a mapping, not to a loaded Config")
    return config


def _out(source: Source, config: Config, out: Path | str | None) -> Path:
    return Path(out) if out is not None else default_out(source, config.title)
