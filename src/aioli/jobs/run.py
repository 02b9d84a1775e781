"""The jobs themselves, the same for Python and the command line: tokenize, train, compare, demo, report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from aioli.config import Config, MethodChoice, check_method, load
from aioli.data.shards import Corpus, check_sequences
from aioli.data.tokenize import tokenize as tokenize_data
from aioli.demo import corpus as demo_corpus
from aioli.errors import InputError
from aioli.files import replace_file
from aioli.jobs.output import Plan, write_plan, write_results
from aioli.jobs.watch import Watch
from aioli.methods.registry import complete
from aioli.sweep import local
from aioli.sweep.local import Event, Failure
from aioli.sweep.spec import RunSpec
from aioli.sweep.store import Store

__all__ = [
    "TOKENS",
    "RunsFailed",
    "choose_method",
    "compare",
    "default_out",
    "demo",
    "plan_specs",
    "report",
    "tokenize",
    "tokens_directory",
    "train",
    "train_out",
]

Source = Config | Path | str | Mapping[str, Any]
TOKENS = "data"
QUIET = Watch()


class RunsFailed(InputError):
    """Some runs failed; `results` compares the finished ones (None when there are none)."""

    def __init__(self, failures: Sequence[Failure], runs: int, results: dict[str, Any] | None) -> None:
        reasons: dict[str, list[str]] = {}
        for failure in failures:
            reasons.setdefault(failure.message, []).append(f"{failure.spec.label} seed {failure.spec.seed}")
        told = [f"{', '.join(names)}: {message}" for message, names in reasons.items()]
        super().__init__(
            "\n  ".join(
                [f"{len(failures)} of {runs} runs failed (the others are kept; --resume tries again):", *told]
            )
        )
        self.results = results


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

    Raises:
        InputError: a wrong config, unusable data, or an output directory that is used or busy.
    """
    checked = _checked(config, overrides)
    with Store(_out(config, checked, out), resume=resume) as store:
        return _corpus(checked, store, watch, workers)


def train(
    config: Source,
    *,
    method: str | None = None,
    seed: int | None = None,
    out: Path | str | None = None,
    resume: bool = False,
    overrides: Iterable[str] = (),
    watch: Watch = QUIET,
) -> dict[str, Any]:
    """Train once and return the content of `results.json` for that single run.

    Args:
        config: path of a YAML file, a mapping of the same shape, or a loaded `Config`.
        method: a label or name from the config's methods, or any other method with its defaults; None:
            the config's first.
        seed: None: the config's first.
        out: output directory; None: named from the config, the method and the seed under `runs/`.
        resume: continue what is there; without it a used directory is refused.

    Raises:
        InputError: a wrong config, unusable data, an output directory that is used or busy, or a run
            that failed (`RunsFailed`).
    """
    checked = _checked(config, overrides)
    choice = choose_method(checked, method)
    seed = checked.seeds[0] if seed is None else seed
    if seed < 0:
        raise InputError(f"seed must be a whole number >= 0, got {seed}")
    where = Path(out) if out is not None else train_out(config, checked.title, choice.label, seed)
    with Store(where, resume=resume, ignore=(TOKENS,)) as store:
        return _carry_out(checked, store, [choice], [seed], 1, watch)


def compare(
    config: Source,
    *,
    out: Path | str | None = None,
    workers: int | None = None,
    resume: bool = False,
    overrides: Iterable[str] = (),
    watch: Watch = QUIET,
) -> dict[str, Any]:
    """Train every method with every seed, compare them, and return the content of `results.json`.

    Args:
        config: path of a YAML file, a mapping of the same shape, or a loaded `Config`.
        out: output directory; None: named from the config under `runs/`.
        workers: runs at a time; None: as many as there are cores for.
        resume: continue what is there; without it a used directory is refused.
        overrides: `key=value` texts, as for `--set`.

    Raises:
        InputError: a wrong config, unusable data, an output directory that is used or busy, or runs
            that failed (`RunsFailed`, after the results of the others were written).
    """
    checked = _checked(config, overrides)
    with Store(_out(config, checked, out), resume=resume, ignore=(TOKENS,)) as store:
        return _carry_out(checked, store, checked.methods, checked.seeds, workers, watch)


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
        demo_corpus.build(store.out / "corpus")
        text = files("aioli.demo").joinpath("config.yaml").read_text(encoding="utf-8")
        replace_file(store.out / "config.yaml", text)
        checked = load(store.out / "config.yaml", overrides)
        return _carry_out(checked, store, checked.methods, checked.seeds, workers, watch)


def report(out: Path | str) -> dict[str, Any]:
    """Write the results of an output directory again from its finished runs, and return them.

    Raises:
        InputError: not an output directory, a busy one, or one without a finished run.
    """
    plan = Plan(Path(out))
    with Store(Path(out), resume=True) as store:
        results = [result for spec in plan.specs if (result := store.result(spec)) is not None]
        if not results:
            raise InputError(f"no run in {out} is finished yet: continue it with --resume")
        try:
            corpus = Corpus.open(plan.corpus)
        except InputError:
            corpus = None  # moved or deleted: the table of data is left empty
        return write_results(store.out, plan.config, results, [], corpus)


def plan_specs(
    config: Config, choices: Sequence[MethodChoice], seeds: Sequence[int], fingerprint: str
) -> list[RunSpec]:
    """Every method with every seed, all methods of a seed together so that early results are paired."""
    return [
        RunSpec(
            method=choice.name,
            parameters=complete(choice.name, choice.parameters),
            label=choice.label,
            data=fingerprint,
            seed=seed,
            model=config.model,
            train=config.train,
            evaluation=config.evaluation,
            objective=config.objective,
            target_weights=config.target_weights,
        )
        for seed in seeds
        for choice in choices
    ]


def default_out(source: Source, title: str) -> Path:
    """`runs/` and the config file's name, or the title of a config without a file."""
    return Path("runs") / _slug(Path(source).stem if isinstance(source, str | Path) else title)


def train_out(source: Source, title: str, label: str, seed: int) -> Path:
    """Beside `default_out`, with the method and the seed in its name."""
    return Path("runs") / f"{default_out(source, title).name}-{_slug(label)}-seed{seed}"


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "aioli"


def tokens_directory(config: Config, out: Path) -> Path:
    """Where the tokenised corpus lies: `data.tokens`, or `data/` in the output directory."""
    return config.base / config.data.tokens if config.data.tokens else out / TOKENS


def _checked(config: Source, overrides: Iterable[str]) -> Config:
    if not isinstance(config, Config):
        return load(config, overrides)
    if list(overrides):
        raise InputError("overrides apply to a config file or a mapping, not to a loaded Config")
    return config


def _out(source: Source, config: Config, out: Path | str | None) -> Path:
    return Path(out) if out is not None else default_out(source, config.title)


def choose_method(config: Config, method: str | None) -> MethodChoice:
    """The config's entry of that label or name (None: its first), or any method with its defaults.

    Raises:
        InputError: an unknown method, or a name that the config has several times.
    """
    if method is None:
        return config.methods[0]
    for choice in config.methods:
        if method == choice.label:
            return choice
    named = [choice for choice in config.methods if choice.name == method]
    if len(named) > 1:
        labels = ", ".join(repr(choice.label) for choice in named)
        raise InputError(f"the config has {method!r} {len(named)} times: name one by its label: {labels}")
    choice = named[0] if named else MethodChoice(method)
    check_method(config, choice)
    return choice


def _corpus(config: Config, store: Store, watch: Watch, workers: int | None = None) -> Corpus:
    where = tokens_directory(config, store.out)
    corpus = tokenize_data(config.data, config.base, where, workers=workers, progress=watch.tokenizing)
    for message in corpus.index.get("messages", ()):
        watch.message(str(message))
    check_sequences(corpus, config.model.context)
    return corpus


def _carry_out(
    config: Config,
    store: Store,
    choices: Sequence[MethodChoice],
    seeds: Sequence[int],
    workers: int | None,
    watch: Watch,
) -> dict[str, Any]:
    """Tokenise, run what is not finished, and write the results after every complete seed and at the end."""
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    corpus = _corpus(config, store, watch)
    specs = plan_specs(config, choices, seeds, corpus.fingerprint)
    write_plan(store, config, specs, corpus.directory)
    watch.planned(specs, corpus.groups)

    def write(failures: Sequence[Failure] = ()) -> dict[str, Any] | None:
        results = store.finished(specs)
        if not results:
            return None
        return write_results(store.out, config.to_dict(), results, failures, corpus)

    left = {seed: {spec.id for spec in specs if spec.seed == seed} for seed in seeds}

    def on_event(event: Event) -> None:
        watch.run(event)
        if event.kind == "finished":
            waiting = left[event.spec.seed]
            waiting.discard(event.spec.id)
            if not waiting and event.spec.seed != seeds[-1]:
                write()
        elif event.kind == "reused":
            left[event.spec.seed].discard(event.spec.id)

    try:
        outcome = local.run(specs, corpus.directory, store, workers=workers, on_event=on_event)
    except KeyboardInterrupt:
        write()
        raise
    results = write(outcome.failures)
    if outcome.failures:
        raise RunsFailed(outcome.failures, len(specs), results)
    assert results is not None
    return results
