"""From a YAML file (or a mapping) and overrides to a checked `Config`."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from aioli.config.choice import MethodChoice
from aioli.config.explain import explain
from aioli.config.model import Config, ConfigFile
from aioli.config.overrides import apply_overrides
from aioli.config.parameters import read_parameters
from aioli.config.yaml_text import dump_yaml, parse_yaml
from aioli.constraints import Limits
from aioli.errors import InputError, MixingWarning
from aioli.methods import registry
from aioli.methods.construct import name_and_parameters
from aioli.methods.recipes import REFERENCE
from aioli.protocol import Method, Problem

__all__ = ["check_method", "load", "schema", "to_yaml"]


def load(
    source: Path | str | Mapping[str, Any], overrides: Iterable[str] = (), *, methods: bool = True
) -> Config:
    """Read and check a config: a path to a YAML file, or a mapping of the same shape.

    Relative paths start from the file's directory; for a mapping, from the current directory. Every
    method is built once, so that a wrong name or parameter is found before anything runs.

    Args:
        methods: whether to check that every method fits the groups and steps.

    Raises:
        InputError: a missing or unreadable file, a syntax error, an unknown key, a wrong type or value.
    """
    if isinstance(source, Mapping):
        name, base, raw = "config", Path.cwd(), dict(source)
    else:
        path = Path(source)
        name, base = str(path), path.resolve().parent
        raw = parse_yaml(_read(path), name)
    if raw is None:
        raise InputError(f"{name} is empty: expected at least data.groups, one entry a group of files")
    if not isinstance(raw, dict):
        raise InputError(f"{name}: expected a mapping with keys such as data, got {type(raw).__name__}")
    checked = _validate(apply_overrides(raw, overrides), name)
    if not checked.title:
        title = "Aioli comparison" if isinstance(source, Mapping) else Path(source).stem
        checked = replace(checked, title=title)
    groups, targets = tuple(checked.data.groups), checked.targets
    read = tuple(read_parameters(choice, base, groups, targets) for choice in checked.methods)
    checked = replace(checked, methods=read)
    config = Config(**{f.name: getattr(checked, f.name) for f in fields(ConfigFile)}, base=base)
    Limits.of(config.problem(_plenty(config)))
    for choice in config.methods if methods else ():
        check_method(config, choice)
    return config


def check_method(config: Config, choice: MethodChoice) -> None:
    """Build a method and start it on groups of plenty, so that what does not fit the run is found early.

    Raises:
        InputError: an unknown method or parameter, or values that do not fit the groups and steps.
    """
    try:
        problem = config.problem(_plenty(config))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MixingWarning)  # said again, with the real sizes, by the run
            method = registry.stand_in(choice.name, choice.parameters, problem)
            method.init(problem)
            _check_extras(config, choice, method, problem)
    except InputError as error:
        told = str(error)
        raise InputError(told if repr(choice.name) in told else f"method {choice.label!r}: {told}") from None


def _plenty(config: Config) -> tuple[int, ...]:
    """Training tokens of each group [m], as long as they are not known."""
    return (sys.maxsize,) * len(config.data.groups)


def _check_extras(config: Config, choice: MethodChoice, method: Method[Any], problem: Problem) -> None:
    """Refuse `use`, `run_steps` and `reference` where they would do nothing or cannot be done."""
    runs = registry.extra_runs(choice.name, choice.parameters, problem)
    if choice.use == "mixture" and not hasattr(method, "answer"):
        raise InputError("use: mixture is for methods that conclude with a mixture, such as doremi")
    if choice.run_steps is not None and not runs and not choice.takes_mixture:
        raise InputError("run_steps is for methods that need other runs; this one does not")
    if choice.reference is None:
        return
    if not any(run.role == REFERENCE for run in runs):
        raise InputError("reference is for methods that read a reference run; this one does not")
    if choice.reference_path is None:
        name, parameters = name_and_parameters("a method", choice.reference)
        recipe = registry.recipe_of(name)
        if (recipe and recipe.proxy) or registry.extra_runs(name, parameters, problem):
            raise InputError(f"reference must be a method that needs no other runs, got {name}")
        registry.stand_in(name, parameters, problem).init(problem)


def to_yaml(config: Config) -> str:
    """The resolved config as YAML, every default written out and every path absolute."""
    return dump_yaml(config.to_dict(absolute=True))


def schema() -> dict[str, Any]:
    """JSON Schema of the config file, as shipped in `config.schema.json`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | _adapter().json_schema()


def _adapter() -> TypeAdapter[ConfigFile]:
    return TypeAdapter(ConfigFile)


def _validate(raw: dict[str, Any], name: str) -> ConfigFile:
    try:
        text = json.dumps(raw, default=str)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{name}: expected plain values: {error}") from None
    try:
        return _adapter().validate_json(text, strict=True)
    except ValidationError as error:
        raise InputError(explain(error, ConfigFile, name)) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"no such config file: {path}") from None
    except IsADirectoryError:
        raise InputError(f"expected a config file, got the directory {path}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected UTF-8 text, got a byte {error.object[error.start]:#x}") from None
    except OSError as error:
        raise InputError(f"cannot read the config file {path}: {error.strerror}") from None
