"""`aioli compare CONFIG`."""

from __future__ import annotations

from aioli.cli.options import AsJson, ConfigPath, DryRun, Out, Quiet, Resume, Set, Workers

__all__ = ["compare"]


def compare(
    config: ConfigPath,
    out: Out = None,
    workers: Workers = None,
    resume: Resume = False,
    overrides: Set = None,
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

    checked = load(config, overrides or [])
    out = out or default_out(config, checked.title)
    if dry_run:
        print_forecast(checked, out, workers, as_json=as_json)
        return
    try:
        with showing(quiet) as display:
            results = run(checked, out=out, workers=workers, resume=resume, watch=display.watch)
    except RunsFailed as failed:
        if failed.results:
            print_results(failed.results, out, as_json=as_json)
        raise
    print_results(results, out, as_json=as_json)
