"""Metadatasets parsed by megatron-energon (the datasets themselves are not opened)."""

from __future__ import annotations

import numpy as np
import pytest
from megatron.energon import MetadatasetV2
from megatron.energon.dataset_config import load_config
from megatron.energon.epathlib import EPath

from aioli.export.blend import Blend
from aioli.export.formats import export_text


def test_parses_with_weights_per_example(tmp_path):
    paths = {"web": {"./web": None}, "no": {"/d/no: #1": None}, "absent": {"./absent": None}}
    lengths = {"web": 900.0, "no": 300.0}
    blend = Blend(("web", "no", "absent"), np.array([0.75, 0.25, 0.0]), paths, lengths=lengths)
    (tmp_path / "mix.yaml").write_text(export_text(blend, "energon"))
    path = EPath(tmp_path / "mix.yaml")
    found = load_config(path, default_type=MetadatasetV2, default_kwargs={"path": path})
    assert isinstance(found, MetadatasetV2)
    blended = found.splits["train"].blend
    assert [(str(item.path), item.weight) for item in blended] == [
        ("./web", pytest.approx(0.5)),
        ("/d/no: #1", pytest.approx(0.5)),
    ]
