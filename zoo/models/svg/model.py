"""SVG (Denton and Fergus, ICML 2018): predict the next frame from the past and a latent variable z.

The posterior sees the frame that is predicted, the prior only those before it. Training minimises the squared error of
every predicted frame plus β times the KL divergence of posterior and prior. Samples draw z from the prior.

All true frames are known in training, so every frame is encoded once, the LSTMs run over whole clips, and the decoder
sees all codes at once. Batch norm still uses the statistics of every time step (`zoo.blocks.step_norm`).

Shapes: B clips, T frames, C channels, H x W pixels, D dimensions of z, G size of the code of a frame, A entries of an
action.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.blocks.gaussian import Gaussian
from zoo.blocks.noise import sample_noise
from zoo.blocks.skip_autoencoder import Decoder, Encoder, FramePlan, SkipProjection
from zoo.blocks.step_norm import NormPlan
from zoo.errors import ZooError
from zoo.losses.gaussian import kl_divergence
from zoo.model import VideoModel, name_samples
from zoo.models.svg.config import CARD, SVGConfig
from zoo.models.svg.networks import FramePredictor, LatentNetwork
from zoo.models.svg.rollout import Rollout
from zoo.types import Clip, ClipSpec, Sample, SampleRequest


class SVG(VideoModel[SVGConfig]):
    """Predicts the frames after the given ones; reconstructs."""

    card = CARD

    def __init__(self, config: SVGConfig, spec: ClipSpec) -> None:
        super().__init__(config, spec)
        self.action_count = len(spec.action_names) if config.uses_actions and "actions" in spec.fields else 0
        norm = NormPlan(config.norm_over_time, config.norm_statistics)
        plan = FramePlan(config.backbone, spec.height, spec.width, spec.channels, config.width, config.code, norm)
        self.encoder = Encoder(plan)
        self.skip_projection = SkipProjection(plan)
        self.decoder = Decoder(plan)
        known, latent = config.code + self.action_count, config.latent if config.prior != "none" else 0
        self.predictor = FramePredictor(known + latent, config.hidden, config.predictor_layers, config.code)
        self.posterior = self.prior = None
        if latent:
            self.posterior = LatentNetwork(config.code, config.hidden, config.posterior_layers, latent)
        if config.prior == "learned":
            self.prior = LatentNetwork(known, config.hidden, config.prior_layers, latent)

    @property
    def conditions(self) -> tuple[str, ...]:
        """The actions, if the model uses any."""
        return ("actions",) if self.action_count else ()

    @property
    def deterministic(self) -> bool:
        """Without z, every draw is the same."""
        return self.posterior is None

    # ---------------------------------------------------------------- training

    def training_step(self, clip: Clip, batch_idx: int) -> Tensor:
        """The bound, summed over the predicted frames; logged as means over them."""
        if len(clip["video"]) < 2 and not self.config.norm_over_time:
            raise ZooError(
                "A batch of one clip has no batch-norm statistics of a time step. Try: data.batch_size=2 or "
                "model.norm_over_time=true"
            )
        terms = self.loss_terms(clip, self._training_noise(clip))
        self.log_losses({name: values.mean() for name, values in terms.items()})
        loss = terms["reconstruction"].sum()
        return loss + self.config.beta * terms["kl"].sum() if "kl" in terms else loss

    def loss_terms(self, clip: Clip, noise: Tensor) -> dict[str, Tensor]:
        """Terms of the bound for every predicted frame, each (T - 1,); noise of z: (B, T - 1, D).

        reconstruction: squared error in [0, 1], a mean over clips and pixels. kl: nats, a mean over clips.
        """
        video = to_unit_range(clip["video"])
        codes, skips = self.encoder(video)
        posterior, prior = self.latent_gaussians(codes, clip)
        parts = [codes[:, :-1], self.actions_of(clip)]
        if posterior is not None:
            parts.insert(1, posterior.sample(noise))
        predicted, _ = self.predictor(torch.cat(parts, -1))
        maps = self.skip_projection([skip[:, : self.skip_frames(video.shape[1])] for skip in skips])
        errors = self.decoder(predicted, maps) - video[:, 1:]
        terms = {"reconstruction": errors.square().mean((0, 2, 3, 4))}
        if posterior is not None and prior is not None:
            terms["kl"] = kl_divergence(posterior, prior).sum(-1).mean(0)
        return terms

    def latent_gaussians(self, codes: Tensor, clip: Clip) -> tuple[Gaussian | None, Gaussian | None]:
        """Posterior and prior of z_1 … z_{T-1}, each (B, T - 1, D), from the codes of all frames, (B, T, G)."""
        if self.posterior is None:
            return None, None
        posterior: Gaussian = self.posterior(codes[:, 1:])[0]
        if self.prior is None:
            return posterior, Gaussian(torch.zeros_like(posterior.mean), torch.zeros_like(posterior.mean))
        prior: Gaussian = self.prior(torch.cat([codes[:, :-1], self.actions_of(clip)], -1))[0]
        return posterior, prior

    def actions_of(self, clip: Clip) -> Tensor:
        """Actions that lead to frames 1 … T-1, (B, T - 1, A); A is 0 for a model without actions."""
        video = clip["video"]
        if not self.action_count:
            return video.new_zeros(len(video), video.shape[1] - 1, 0)
        return clip["actions"][:, :-1].to(video)

    def skip_frames(self, frames: int) -> int:
        """Number of frames whose skips are used in a training clip: 0 to this - 1; the last of them is held."""
        context = self.config.context
        used = {"second_to_last": max(context - 1, 1), "last": context, "previous": frames - 1}[self.config.skips]
        return min(used, frames - 1)

    def _training_noise(self, clip: Clip) -> Tensor:
        """Noise of z, (B, T - 1, D)."""
        shape = (clip["video"].shape[1] - 1, self.config.latent)
        return self.per_sample_noise(clip, lambda source: torch.randn(shape, generator=source))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with a constant learning rate; one for all networks equals one for each."""
        return self.adam(self.parameters(), self.config.lr, (self.config.beta1, 0.999))

    def ema_parts(self) -> dict[str, nn.Module]:
        """All networks are used for sampling."""
        return dict(self.named_children())

    # ---------------------------------------------------------------- sampling

    @torch.no_grad()
    def infer_latents(self, clip: Clip) -> tuple[Gaussian | None, Gaussian | None]:
        """Posterior and prior of z of frames 1 … T-1 of real clips, each (B, T - 1, D); None for a model without z.

        The standard deviation of the learned prior tells where the model expects a surprise.
        """
        codes, _ = self.encoder(to_unit_range(clip["video"].to(self.predictor.output.weight)))
        return self.latent_gaussians(codes, clip)

    @torch.no_grad()
    def stream(self, request: SampleRequest) -> Iterator[Sample]:
        """Generate frame after frame, at constant memory.

        In the given frames, z is drawn from the posterior (prior=fixed: its mean); afterwards from the prior, and the
        generated frames are fed back. Options: ``temperature``, a factor on all standard deviations, where 0 is the
        mean of z; ``reconstruct``: true decodes every frame after the first from the true frame before it and z of its
        posterior, as in training; ``rollout`` feeds generated frames back, with the posterior's mean of every given
        frame. Actions after the end of those given are the last one. Raises ZooError if frames are missing.
        """
        names, clips = name_samples(request)
        reconstruct = request.options.get("reconstruct", False)
        teacher_forced = reconstruct is True
        context = self.config.context if teacher_forced else request.context
        mean = reconstruct == "rollout" or (self.config.prior == "fixed" and not reconstruct)
        given = GivenFrames(clips, self)
        rollout = Rollout(self, self._sampling_noise(request, names))
        frame = given.take("context", 0)
        yield Sample(frame)
        previous = rollout.encode(to_unit_range(frame))
        for t in range(1, request.frames):
            if t == 1 or self.takes_skips(t, context):
                rollout.take_skips(previous)
            action, truth = given.action, None
            if reconstruct or t < context:
                frame = given.take("frames" if reconstruct else "context", t)
                truth = rollout.encode(to_unit_range(frame))
            else:
                given.skip()
            code = rollout.advance(previous, truth, action, mean)
            if truth is None or teacher_forced or t >= context:
                frame = from_unit_range(rollout.decode(code))
            yield Sample(frame)
            if truth is not None and (teacher_forced or t < context):
                previous = truth
            elif t + 1 < request.frames:
                previous = rollout.encode(to_unit_range(frame))

    def takes_skips(self, step: int, context: int) -> bool:
        """Whether the skips of frame ``step`` - 1 replace the earlier ones."""
        return self.config.skips == "previous" or step < context + (self.config.skips == "last")

    def _sampling_noise(self, request: SampleRequest, names: list[str]) -> Any:
        temperature = float(request.options.get("temperature", 1.0))
        shape = (self.config.latent,)
        return lambda step: temperature * sample_noise(request, names, shape, step)

    # ---------------------------------------------------------------- released weights

    @classmethod
    def convert(cls, folder: Path, settings: Mapping[str, Any]) -> SVG:
        """Build a model from a checkpoint of the original release, a file. Raises ZooError for any other file."""
        from zoo.models.svg.convert import convert

        return convert(cls, folder, settings)


class GivenFrames:
    """The frames and actions of consecutive pieces of a clip, one after another.

    Frames are on the device of the model and in its dtype.
    """

    def __init__(self, clips: Iterator[Clip], model: SVG) -> None:
        self.frames = _frames_and_actions(clips)
        self.action_count = model.action_count
        self.reference = model.predictor.output.weight
        self.action: Tensor = self.reference.new_zeros(0)

    def take(self, setting: str, number: int) -> Tensor:
        """The next frame, (B, C, H, W); afterwards ``action`` is what leads from it to the next one, (B, A).

        Without actions it is zero. setting: the one that asks for the frame. number: of the frame. Raises ZooError if
        there are no more frames.
        """
        frame = self.skip()
        if frame is None:
            raise ZooError(
                f"Frame {number} is missing: only {number} frames are given. Try: {setting}={max(number, 1)}"
            )
        return frame

    def skip(self) -> Tensor | None:
        """The next frame, if there is one; ``action`` stays after the last one."""
        frame, action = next(self.frames, (None, None))
        if frame is None:
            return None
        frame = frame.to(self.reference)
        if not self.action_count or action is None:
            self.action = frame.new_zeros(len(frame), self.action_count)
        else:
            self.action = action.to(self.reference)
        return frame


def _frames_and_actions(clips: Iterator[Clip]) -> Iterator[tuple[Tensor, Tensor | None]]:
    for clip in clips:
        actions = clip.get("actions")
        for t in range(clip["video"].shape[1]):
            yield clip["video"][:, t], None if actions is None else actions[:, t]


def to_unit_range(video: Tensor) -> Tensor:
    """[-1, 1] -> [0, 1], the range of the networks."""
    return (video + 1) / 2


def from_unit_range(video: Tensor) -> Tensor:
    """[0, 1] -> [-1, 1]."""
    return 2 * video - 1
