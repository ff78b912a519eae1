"""Add a model: ``python docs/tutorials/add_a_model.py [<setting>=<value> ...]``."""

# %% [markdown]
# # Add a model
#
# A model is a card, a config and a `VideoModel`. This tutorial writes all three in one script, trains the model and
# samples from it. The script: `docs/tutorials/add_a_model.py`. [The design page](../design/add-a-model.md) shows the
# same as a package that others can install.
#
# ## Card and config
#
# The card describes the model before its code is imported: the fields of a clip that the model needs, its tasks, and
# whether it streams. The config holds its settings; the docstring after a field appears in `--help`.

# %%
from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import zoo
from zoo.model import VideoModel, pieces

CARD = zoo.ModelCard(
    name="last_frame",
    title="Predicts the next frame from the last one",
    paper="none: a tutorial",
    year=2026,
    code_licence="Apache-2.0",
    weights_licence="none",
    tasks=frozenset({"predict"}),
    needs=(("video",),),
    streams=True,
)


@zoo.register(CARD, builds="__main__:LastFrame")
@dataclass
class LastFrameConfig(zoo.ModelConfig):
    """A convolution over the last frame."""

    name: str = "last_frame"

    kernel: int = 3
    """Kernel size in pixels."""

    lr: float = 0.02
    """Learning rate of Adam."""

    @classmethod
    def tiny(cls) -> LastFrameConfig:
        """The smallest variant, for the contract tests."""
        return cls()


# %% [markdown]
# ## The model
#
# `training_step` and `configure_optimizers` are Lightning's. `stream` generates frame by frame; a model that generates
# a whole clip at once defines `sample` instead. The model sees only the first `request.context` frames of the given
# video.


# %%
class LastFrame(VideoModel[LastFrameConfig]):
    """Shapes: B clips, T frames, H x W pixels."""

    card = CARD

    def __init__(self, config: LastFrameConfig, spec: zoo.ClipSpec) -> None:
        super().__init__(config, spec)
        self.convolution = nn.Conv2d(3, 3, config.kernel, padding="same")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam over all weights."""
        return torch.optim.Adam(self.parameters(), self.config.lr)

    def training_step(self, clip: zoo.Clip, batch_idx: int) -> Tensor:
        """Predict every frame from the one before."""
        video = clip["video"]  # (B, T, 3, H, W)
        predicted = self.next_frame(video[:, :-1].flatten(0, 1))
        loss = (predicted - video[:, 1:].flatten(0, 1)).abs().mean()
        self.log_losses({"l1": loss})
        return loss

    def next_frame(self, frame: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 3, H, W)."""
        return torch.tanh(self.convolution(frame))

    @torch.no_grad()
    def stream(self, request: zoo.SampleRequest) -> Iterator[zoo.Sample]:
        """Context frames as they are, then predictions."""
        clip = next(pieces(request.given))
        frame = clip["video"][:, 0]
        for t in range(request.frames):
            frame = clip["video"][:, t] if t < request.context else self.next_frame(frame)
            yield zoo.Sample(frame)


# %% [markdown]
# ## Train it
#
# A short YAML file makes `model=last_frame` a choice. Here it is `conf/model/last_frame.yaml` in the folder of this
# script. For a model inside the zoo, it goes into the `conf` folder of the repository:
#
# ```{literalinclude} conf/model/last_frame.yaml
# :language: yaml
# ```
#
# The model now works like every other: the same commands train, resume, sample, evaluate and compare it. This script
# has registered it. For the command line it also needs an entry point, so that `zoo train` finds it.

# %%
if __name__ == "__main__":
    run = zoo.fit("model=last_frame", "data=puppets", *sys.argv[1:])
    print("run folder:", run.folder)
    for key, value in sorted(run.metrics.items()):
        print(f"{key:40} {value:.3f}")

    clip = zoo.clips("puppets", frames=8, batch=1)
    sample = zoo.load(run.folder).sample(zoo.SampleRequest(frames=8, given=clip, context=1))
    zoo.save_video(sample.video[0], "last_frame.mp4", fps=12.5)

# %% [markdown]
# ## Next
#
# - Make it a package, with the contract tests: [add a model](../design/add-a-model.md).
# - Read a whole model: `zoo/models/pix2pixhd` is the smallest of the published ones.
