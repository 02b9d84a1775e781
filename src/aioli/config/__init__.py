"""Config files: YAML to frozen dataclasses, every mistake named."""

from aioli.config.loading import check_method, load, schema, to_yaml
from aioli.config.model import Config, MethodChoice, read_methods

__all__ = ["Config", "MethodChoice", "check_method", "load", "read_methods", "schema", "to_yaml"]
