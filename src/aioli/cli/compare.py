"""`aioli compare CONFIG`."""

from __future__ import annotations

from aioli.cli.options import AsJson, ConfigPath, DryRun, Out, Quiet, Resume, Set, Track, Workers
from aioli.cli.runners import Attempts, RunnerName, named_runner
from aioli.sweep.runner import ATTEMPTS

__all__ = ["compare"]


def compare(
    config: ConfigPath,
    out: Out = None,
    runner: RunnerName = "local",
    workers: Workers = None,
    attempts: Attempts = ATTEMPTS,
    resume: Resume = False,
    overrides: Set = None,
    track: Track = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train every method with every seed and compare them."""
    from aioli.cli.forecast import print_forecast
    from aioli.cli.output import print_results, showing
    from aioli.config import load
    from aioli.jobs.names import default_out
    from aioli.jobs.run import compare as run
    from aioli.jobs.runs import RunsFailed
    from aioli.jobs.track import with_trackers

    checked = with_trackers(load(config, overrides or []), track or [])
    out = out or default_out(config, checked.title)
    if dry_run:
        print_forecast(checked, out, workers, as_json=as_json)
        return
    try:
        with showing(quiet) as display:
            results = run(
                checked,
                out=out,
                workers=workers,
                resume=resume,
                attempts=attempts,
                runner=named_runner(runner),
                watch=display.watch,
            )
    except RunsFailed as failed:
        if failed.results:
            print_results(failed.results, out, as_json=as_json)
        raise
    print_results(results, out, as_json=as_json)
