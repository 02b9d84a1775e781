"""Print the JSON Schema of the config: `python -m aioli.config > src/aioli/config/config.schema.json`."""

import json

from aioli.config import schema

print(json.dumps(schema(), indent=1))
