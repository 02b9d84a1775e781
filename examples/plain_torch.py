"""Aioli in a training loop of your own: `python examples/plain_torch.py [FOLDER] [--method M] [--out DIR]`.

Every subfolder of FOLDER is a group of text files; without FOLDER the groups are those of the demo. Killed
and started again with the same DIR, it goes on from its last checkpoint to the same result.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from aioli import Context, Loader, Meter, Mixer, Problem
from aioli.data.settings import DataSettings, TextSource, TokenizerSettings
from aioli.data.tokenize import tokenize
from aioli.demo.corpus import build as demo_texts
from aioli.methods.registry import build_value
from aioli.training.optimiser import weighted_loss

STEPS, BATCH, CONTEXT, VOCABULARY, SAVE_EVERY = 200, 16, 32, 512, 50


class Model(nn.Module):
    """Yours may be anything that gives the loss of each token, or the mean of each sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 64)
        self.body = nn.GRU(64, 64, batch_first=True)

    def forward(self, batch: np.ndarray) -> torch.Tensor:
        tokens = torch.from_numpy(batch.astype(np.int64))
        logits = self.body(self.embedding(tokens[:, :-1]))[0] @ self.embedding.weight.T
        return F.cross_entropy(logits.mT, tokens[:, 1:], reduction="none")

    def sequences(self, batch: np.ndarray) -> torch.Tensor:
        return self(batch).mean(dim=1)


def main(folder: Path | None, work: Path, method: str = "aioli") -> dict[str, float]:
    """Train on the groups' text; returns the proportions trained on last."""
    paths = {p.name: p for p in sorted(folder.iterdir())} if folder else demo_texts(work / "text")
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
    sizes = tuple(len(rows) * CONTEXT for rows in train.values())
    problem = Problem(corpus.groups, sizes, total_steps=STEPS, step_tokens=BATCH * CONTEXT)
    loader = Loader(train, BATCH, seed=0)
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "loader": loader}
    checkpoint = work / "checkpoint.pt"

    with Mixer(build_value(method), problem, journal=work / "mixing.jsonl") as mixer:
        context = Context(
            problem, model.sequences, held_out, model=model, optimiser=optimizer, upcoming=loader.upcoming
        )
        meter = Meter(mixer.method.needs, context)
        parts |= {"mixer": mixer, "meter": meter}
        if checkpoint.exists():
            saved = torch.load(checkpoint)
            for name, part in parts.items():
                part.load_state_dict(saved[name])

        while not mixer.done:
            request = mixer.request  # train so many steps on these proportions, then tell what is asked for
            meter.begin(request.observe)
            if request.steps == 0 and not mixer.segment_drawn.any():  # measure on the batch due next
                meter.peek(partial(loader.peek, request.proportions), lambda batch: model(batch.tokens))
            for batch in loader.segment(request.proportions, request.steps):
                losses = model(batch.tokens)  # [B, T]
                meter.add(batch, losses)
                weighted_loss(losses.mean(dim=1), batch, request.loss_weights).backward()
                optimizer.step()
                optimizer.zero_grad()
                mixer.advance(batch.drawn)
                if mixer.step % SAVE_EVERY == 0:
                    torch.save({name: part.state_dict() for name, part in parts.items()}, checkpoint)
            mixer.tell(meter.finish(), learning_rate=optimizer.param_groups[0]["lr"])
            if request.steps:
                print(f"step {mixer.step:4}  {request.phase:7}", *(f"{p:.2f}" for p in request.proportions))
    return dict(zip(corpus.groups, request.proportions.tolist(), strict=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--method", default="aioli")
    parser.add_argument("--out", type=Path, default=Path("runs/plain_torch"))
    given = parser.parse_args()
    print(main(given.folder, given.out, given.method))
