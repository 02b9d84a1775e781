"""Estimators: where the law's matrix comes from."""

from aioli.estimators.probes import Probes

__all__ = ["Probes"]
