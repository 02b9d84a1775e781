"""Aioli in a training loop of your own: `python examples/plain_torch.py [FOLDER]`.

Every subfolder of FOLDER is a group of text files; without FOLDER the groups are those of the demo.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from aioli import Mixer, Problem, zoo
from aioli.data.loader import Loader
from aioli.data.settings import DataSettings, TextSource, TokenizerSettings
from aioli.data.tokenize import tokenize
from aioli.demo.corpus import build
from aioli.measure.base import Context
from aioli.measure.meter import Meter

STEPS, BATCH, CONTEXT, VOCABULARY = 200, 16, 32, 512


class Model(nn.Module):
    """Yours may be anything that gives the mean loss of each sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 64)
        self.body = nn.GRU(64, 64, batch_first=True)

    def forward(self, batch: np.ndarray) -> torch.Tensor:
        tokens = torch.from_numpy(batch.astype(np.int64))
        logits = self.body(self.embedding(tokens[:, :-1]))[0] @ self.embedding.weight.T
        return F.cross_entropy(logits.mT, tokens[:, 1:], reduction="none").mean(dim=1)


def main(folder: Path | None, work: Path) -> dict[str, float]:
    """Train on the groups' text; returns the proportions of the last round."""
    paths = {p.name: p for p in sorted(folder.iterdir())} if folder else build(work / "text")
    sources = {name: TextSource((str(path),)) for name, path in paths.items()}
    settings = DataSettings(sources, tokenizer=TokenizerSettings(VOCABULARY))
    corpus = tokenize(settings, base=Path(), out=work / "tokens")
    train, held_out = (
        {name: corpus.sequences(name, split, CONTEXT + 1) for name in corpus.groups}
        for split in ("train", "validation")
    )

    torch.manual_seed(0)
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    sizes = tuple(rows.size for rows in train.values())
    problem = Problem(corpus.groups, sizes, total_steps=STEPS, step_tokens=BATCH * CONTEXT)
    mixer = Mixer(zoo.aioli(), problem, journal=work / "mixing.jsonl")
    loader = Loader(train, BATCH, seed=0)
    meter = Meter(mixer.method.needs, Context(problem, model, held_out))

    while not mixer.done:
        request = mixer.request
        seen = meter.begin(request.observe)
        for batch in loader.segment(request.proportions, request.steps):
            losses = model(batch.tokens)
            seen.add(batch, losses)
            losses.mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            mixer.advance(batch.drawn)
        mixer.tell(seen.finish())
        print(f"step {mixer.step:4}  {request.phase:7}", *(f"{p:.2f}" for p in request.proportions))
    mixer.close()
    return dict(zip(corpus.groups, mixer.state.proportions.tolist(), strict=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    with tempfile.TemporaryDirectory() as work:
        print(main(parser.parse_args().folder, Path(work)))
