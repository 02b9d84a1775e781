"""NeMo Automodel: the `dataset` of a pretraining recipe, with a Megatron blend in `paths`.

Weights are shares of samples of `seq_length` tokens, that is of tokens. Read in the sources of nemo-automodel
0.7.0 (`components/datasets/llm/megatron_dataset.py`): `paths` takes weight and prefix in turn, as text; with
a flat list `split` divides every source into training, validation and test. Not loaded by the library in
tests: it pins transformers and needs CUDA kernels.
"""

from __future__ import annotations

from collections.abc import Mapping

from aioli.errors import InputError
from aioli.export.blend import Blend
from aioli.export.format import Format
from aioli.export.megatron import zipped, zipped_weights
from aioli.export.yaml_text import field, read_yaml, yaml_text

__all__ = ["FORMATS"]

TARGET = "nemo_automodel.components.datasets.llm.megatron_dataset.MegatronPretrainingConfig"


def _write(blend: Blend) -> str:
    dataset = {"_target_": TARGET, "paths": zipped(blend), "split": "0.99, 0.01, 0.00"}
    return yaml_text({"dataset": dataset})


def _read(text: str) -> dict[str, float]:
    kind = "the NeMo recipe"
    paths = field(read_yaml(text, kind), "dataset.paths", kind)
    if isinstance(paths, Mapping):
        paths = field(paths, "train", f"{kind}: dataset.paths")
    if isinstance(paths, str):
        raise InputError(f"{kind}: dataset.paths names a file; read that one with --format megatron-json")
    return zipped_weights(paths, f"{kind}: dataset.paths")


FORMATS = (Format("nemo", "NeMo Automodel dataset YAML", "tokens", ".yaml", _write, _read, ("paths",)),)
