"""`python -m benchmarks.corpora --settings NAME|all --out DIR [--cap-mb 15]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.corpora.build import Builder
from benchmarks.corpora.fetch import SourceError
from benchmarks.corpora.settings import SETTINGS, config

from aioli.files import replace_file


def main(arguments: list[str] | None = None) -> int:
    """Build the groups and write the config of each setting; 1 when a setting could not be built."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.corpora", description="Build benchmark corpora."
    )
    parser.add_argument("--settings", nargs="+", required=True, choices=[*SETTINGS, "all"], metavar="NAME")
    parser.add_argument("--out", type=Path, required=True, help="directory for downloads, groups and configs")
    parser.add_argument("--cap-mb", type=float, default=15.0, help="most MB of text in a group (default 15)")
    given = parser.parse_args(arguments)
    if given.cap_mb < 0.1:
        parser.error(f"--cap-mb must be at least 0.1, got {given.cap_mb}")
    names = list(SETTINGS) if "all" in given.settings else list(dict.fromkeys(given.settings))
    builder = Builder(given.out, round(given.cap_mb * 1e6), lambda line: print(line, flush=True))
    failed: dict[str, str] = {}
    for group in dict.fromkeys(
        g for name in names for g in (*SETTINGS[name].groups, *SETTINGS[name].targets)
    ):
        try:
            builder.group(group)
        except SourceError as error:
            failed[group] = str(error)
    built = []
    for name in names:
        setting = SETTINGS[name]
        if not failed.keys() & {*setting.groups, *setting.targets}:
            replace_file(given.out / f"{name}.yaml", config(name))
            built.append(name)
    print("built: " + (", ".join(f"{given.out / name}.yaml" for name in built) or "nothing"))
    if failed:
        print(_report(failed, given.out), file=sys.stderr)
    return 1 if failed else 0


def _report(failed: dict[str, str], out: Path) -> str:
    """What went wrong, which settings that touches and which can be built all the same."""
    hit = {name for name, setting in SETTINGS.items() if failed.keys() & {*setting.groups, *setting.targets}}
    return "\n".join(
        [
            "These groups could not be built:",
            *(f"  {group}: {reason}" for group, reason in failed.items()),
            f"Settings that need them: {', '.join(n for n in SETTINGS if n in hit)}.",
            f"Settings that do not: {', '.join(n for n in SETTINGS if n not in hit) or 'none'}.",
            f"What is done is kept in {out}: the same command goes on from there.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
