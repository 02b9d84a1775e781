"""Config files: YAML to frozen dataclasses, every mistake named."""

from aioli.config.choice import MethodChoice, read_methods
from aioli.config.loading import check_method, load, schema, to_yaml
from aioli.config.model import Config
from aioli.config.parameters import read_parameters, read_plain

__all__ = [
    "Config",
    "MethodChoice",
    "check_method",
    "load",
    "read_methods",
    "read_parameters",
    "read_plain",
    "schema",
    "to_yaml",
]
