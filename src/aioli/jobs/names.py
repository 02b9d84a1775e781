"""Where a job writes and which method it means, from a config and what the user named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aioli.config import Config, MethodChoice, check_method, read_methods, read_parameters
from aioli.config.yaml_text import parse_yaml
from aioli.errors import InputError
from aioli.methods import registry

__all__ = ["TOKENS", "Source", "choose_method", "default_out", "tokens_directory", "train_out"]

Source = Config | Path | str | Mapping[str, Any]
TOKENS = "data"


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


def choose_method(
    config: Config,
    method: str | None,
    *,
    use: str | None = None,
    reference: Path | str | None = None,
    proportions: Path | str | None = None,
) -> MethodChoice:
    """The config's entry of that label or name (None: its first), or any method: its name, or as in a config.

    Args:
        use, reference: in the place of the entry's; a path starts from the current directory.
        proportions: a JSON or YAML file with the proportions that the method takes.

    Raises:
        InputError: an unknown method, one that does not fit the run, or a name that the config has several
            times.
    """
    choice = _find_method(config, method)
    fields: dict[str, Any] = {} if use is None else {"use": use}
    if reference is not None:
        name = str(reference)
        fields["reference"] = name if name in registry.names() else str(Path(name).resolve())
    if proportions is not None:
        fields["parameters"] = choice.parameters | {"proportions": str(proportions)}
    if fields:
        groups, targets = tuple(config.data.groups), config.targets
        choice = read_parameters(choice.changed(**fields), Path.cwd(), groups, targets)
    check_method(config, choice)
    return choice


def _find_method(config: Config, method: str | None) -> MethodChoice:
    if method is None:
        return config.methods[0]
    for choice in config.methods:
        if method == choice.label:
            return choice
    named = [choice for choice in config.methods if choice.name == method]
    if len(named) > 1:
        labels = ", ".join(repr(choice.label) for choice in named)
        raise InputError(f"the config has {method!r} {len(named)} times: name one by its label: {labels}")
    if named:
        return named[0]
    return read_methods([parse_yaml(method, "--method")])[0] if ":" in method else MethodChoice(method)
