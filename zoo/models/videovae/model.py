"""VideoVAE (He et al., ECCV 2018): every frame has a code that depends on an LSTM and on holistic attributes.

The posterior of a code is computed in three steps: from the frame, then with the attributes, then with the past. The
prior depends on the past and the attributes. Training maximises the sequential evidence lower bound. Generation samples
the prior and encodes every generated frame again for the LSTM. Equations are numbered as in the model's README.

Shapes: B clips, T frames, C channels, H x W pixels, D size of the code, F features, K values of an attribute, A values
of all attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from zoo.blocks.attributes import AttributeHeads, attribute_vector, average_over_clip, cross_entropy
from zoo.blocks.gaussian import Gaussian
from zoo.blocks.noise import sample_noise
from zoo.devices.collectives import mean_over_ranks
from zoo.errors import ZooError
from zoo.losses.gaussian import free_bits, kl_divergence, negative_log_likelihood
from zoo.model import VideoModel, name_samples
from zoo.models.videovae.collapse import CollapseMonitor
from zoo.models.videovae.config import CARD, VideoVAEConfig
from zoo.models.videovae.control import AttributeControl, given_frames
from zoo.models.videovae.networks import Dynamics, State, frame_decoder, frame_encoder
from zoo.types import Clip, ClipSpec, Sample, SampleRequest


class VideoVAE(VideoModel[VideoVAEConfig]):
    """Generates from attributes, first frames, or both; predicts; reconstructs."""

    card = CARD
    channels_last = True

    def __init__(self, config: VideoVAEConfig, spec: ClipSpec) -> None:
        super().__init__(config, spec)
        known = config.attributes != "none" and "attributes" in spec.fields
        self.attributes = spec.attributes if known else {}
        values = sum(len(names) for names in self.attributes.values())
        decoder_values = values if config.attributes == "decoder" else 0
        self.encoder = frame_encoder(config, spec)
        self.heads = AttributeHeads(config.features, self.attributes, config.units)
        self.dynamics = Dynamics(config, values - decoder_values)
        self.decoder = frame_decoder(config, spec, config.code + decoder_values)
        self.collapse = CollapseMonitor()

    @property
    def conditions(self) -> tuple[str, ...]:
        """The attributes, if the model has any."""
        return ("attributes",) if self.attributes else ()

    # ---------------------------------------------------------------- training

    def training_step(self, clip: Clip, batch_idx: int) -> Tensor:
        """Loss of eq. 6, in nats per frame: the bound, and the cross-entropy of the observed attributes."""
        losses, divergence = self.loss_terms(clip, self._training_noise(clip))
        self.log_losses(losses)
        self._log_divergence(divergence.detach())
        bound = losses["reconstruction"] + self.beta * free_bits(divergence, self.config.free_bits)
        return bound + self.config.classifier_weight * losses.get("attributes", 0.0)

    def loss_terms(self, clip: Clip, noise: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Scalar terms of eq. 6 by name, and the KL divergence of each dimension, (B, T, D); noise: (B, T, D)."""
        video, observed = clip["video"], clip.get("attributes", {})
        features = self.encode_frames(video)
        logits = {
            name: average_over_clip(row, name in self.spec.constant) for name, row in self.heads(features).items()
        }
        attributes = self._attribute_vector(logits, clip)
        rollout = self.dynamics(features, self._code_attributes(attributes), noise)
        divergence = kl_divergence(rollout.posterior, rollout.prior)
        losses = {
            "reconstruction": self._negative_log_likelihood(video, self.decode_frames(rollout.code, attributes)),
            "kl": divergence.sum(-1).mean(),
        }
        if observed and logits:
            losses["attributes"] = torch.stack(
                [cross_entropy(row, observed[name]) for name, row in logits.items()]
            ).sum()
        return losses, divergence

    @property
    def beta(self) -> float:
        """Weight of the KL divergence, which grows linearly from 0 during the warm-up."""
        config = self.config
        return config.beta * (min(1.0, self.progress / config.beta_warmup) if config.beta_warmup else 1.0)

    def encode_frames(self, video: Tensor) -> Tensor:
        """Encode all frames: (B, T, C, H, W) in [-1, 1] -> features (B, T, F)."""
        features = self.encoder(rearrange(video, "b t c h w -> (b t) c h w"))
        return rearrange(features, "(b t) f -> b t f", b=len(video))

    def decode_frames(self, code: Tensor, attributes: Tensor) -> Tensor:
        """Decode codes (B, T, D) to frames (B, T, C, H, W); attributes=decoder appends the attributes, (B, T, A)."""
        if self.config.attributes == "decoder":
            code = torch.cat([code, attributes], -1)
        frames = self.decoder(rearrange(code, "b t d -> (b t) d"))
        return rearrange(frames, "(b t) c h w -> b t c h w", b=len(code))

    def _attribute_vector(self, logits: Mapping[str, Tensor], clip: Clip) -> Tensor:
        """Observed attributes as one-hot vectors, inferred probabilities for the others: (B, T, A)."""
        observed = clip.get("attributes", {})
        parts = [attribute_vector(observed.get(name), row) for name, row in logits.items()]
        video = clip["video"]
        return torch.cat(parts, -1) if parts else video.new_zeros(*video.shape[:2], 0)

    def _code_attributes(self, attributes: Tensor) -> Tensor:
        """The attributes that posterior and prior depend on: all, or none."""
        return attributes if self.config.attributes == "structured" else attributes[..., :0]

    def _negative_log_likelihood(self, video: Tensor, means: Tensor) -> Tensor:
        """Negative log-likelihood of the video, in nats per frame; a scalar."""
        config = self.config
        return negative_log_likelihood(video.flatten(0, 1), means.flatten(0, 1), config.likelihood, config.scale).mean()

    def _training_noise(self, clip: Clip) -> Tensor:
        """Noise of the codes of a batch, (B, T, D)."""
        shape = (clip["video"].shape[1], self.config.code)
        return self.per_sample_noise(clip, lambda source: torch.randn(shape, generator=source))

    def _log_divergence(self, divergence: Tensor) -> None:
        """Log the divergence of each frame and the number of active dimensions; update the collapse monitor."""
        self.collapse.update(divergence)
        for t, nats in enumerate(mean_over_ranks(divergence.sum(-1).mean(0))):
            self.log(f"train/kl/frame{t:02d}", nats)
        self.log("train/active_dimensions", self.collapse.active)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the state of the collapse monitor, too."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["collapse"] = self.collapse.mean

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the state of the collapse monitor, too."""
        super().on_load_checkpoint(checkpoint)
        self.collapse.mean = checkpoint.get("collapse")

    def on_validation_epoch_end(self) -> None:
        """Warn if the code has collapsed."""
        if self.trainer.is_global_zero:
            self.collapse.report()

    def configure_optimizers(self) -> Any:
        """Adam with cosine annealing."""
        config = self.config
        return self.with_cosine_schedule(self.adam(self.parameters(), config.lr, (config.beta1, 0.999)))

    @property
    def max_gradient(self) -> float:
        """Largest gradient norm: it limits the influence of a single bad clip."""
        return self.config.max_gradient

    def ema_parts(self) -> dict[str, nn.Module]:
        """All networks are used for sampling."""
        return {"encoder": self.encoder, "heads": self.heads, "dynamics": self.dynamics, "decoder": self.decoder}

    # ---------------------------------------------------------------- codes

    @torch.no_grad()
    def encode(self, clip: Clip) -> Tensor:
        """Codes of all frames, (B, T, D): means of the posterior. attributes=decoder appends the attributes, (B, T, A),
        which its frames are made from, too."""
        video = clip["video"].to(self.dynamics.reference)
        features = self.encode_frames(video)
        logits = self.heads(features)
        attributes = self._attribute_vector(
            {name: average_over_clip(row, name in self.spec.constant) for name, row in logits.items()}, clip
        )
        noise = video.new_zeros(*video.shape[:2], self.config.code)
        code = self.dynamics(features, self._code_attributes(attributes), noise).code
        return torch.cat([code, attributes], -1) if self.config.attributes == "decoder" else code

    @torch.no_grad()
    def decode(self, code: Tensor, request: SampleRequest) -> Sample:
        """Decode the codes of ``encode`` frame by frame; the sample has as many frames as the codes."""
        size = self.config.code
        return Sample(self.decode_frames(code[..., :size], code[..., size:]))

    def interpolate(self, one: Tensor, other: Tensor, share: float) -> Tensor:
        """Interpolate linearly: means of posteriors are no draws of a normal distribution."""
        return one.lerp(other, share)

    # ---------------------------------------------------------------- sampling

    @torch.no_grad()
    def stream(self, request: SampleRequest) -> Iterator[Sample]:
        """Generate frame after frame, at constant memory.

        Codes of given frames come from the posterior, later ones from the prior; generated frames are encoded for the
        LSTM like real ones. Options: ``attributes``, name -> ``walk``, ``walk@0,run@5,walk@10``, ``free`` or
        ``inferred``; ``temperature``, a factor on all standard deviations; ``reconstruct``, to show the reconstruction
        of every given frame. Raises ZooError for options that do not fit, and if frames are missing.
        """
        names, clips = name_samples(request)
        frames = given_frames(clips)
        control = AttributeControl(request, names, self.attributes, self.spec.constant, self.card.name)
        state = self.dynamics.initial_state(len(names))
        reconstruct = request.options.get("reconstruct", False)
        for t in range(request.frames):
            given = next(frames, None)
            if given:
                control.observe_labels(given.labels)
            if reconstruct or t < request.context:
                if given is None or given.image is None:
                    setting = "frames" if reconstruct else "context"
                    raise ZooError(f"Frame {t} is missing: only {t} frames are given. Try: {setting}={t}")
                image, state = self._step_given(given.image.to(self.dynamics.reference), t, state, control)
            else:
                image, state = self._step_prior(t, state, control)
            yield Sample(image)

    def _step_given(self, image: Tensor, t: int, state: State, control: AttributeControl) -> tuple[Tensor, State]:
        """Process a given frame; returns it, or its reconstruction, and the next state."""
        features = self.encoder(image)
        attributes = self._frame_attributes(control, control.known_at(t), control.observe_logits(self.heads(features)))
        frame = self.dynamics.frame_posterior(features)
        merged = self.dynamics.merge_attributes(frame, self._code_attributes(attributes))
        code = self._sample_code(self.dynamics.posterior(merged, self.dynamics.memory(state)), t, control)
        if control.request.options.get("reconstruct"):
            image = self._decode_frame(code, attributes)
        return image, self.dynamics.step(code, frame, state)

    def _step_prior(self, t: int, state: State, control: AttributeControl) -> tuple[Tensor, State]:
        """Generate a frame from the prior; returns it and the next state, for which the frame is encoded again."""
        attributes = self._frame_attributes(control, control.resolve(t))
        prior = self.dynamics.prior(self.dynamics.memory(state), self._code_attributes(attributes))
        code = self._sample_code(prior, t, control)
        image = self._decode_frame(code, attributes)
        return image, self.dynamics.step(code, self.dynamics.frame_posterior(self.encoder(image)), state)

    def _sample_code(self, code: Gaussian, t: int, control: AttributeControl) -> Tensor:
        shape = (self.config.code,)
        noise = sample_noise(control.request, control.names, shape, t).to(self.dynamics.reference)
        return code.sample(noise, float(control.request.options.get("temperature", 1.0)))

    def _decode_frame(self, code: Tensor, attributes: Tensor) -> Tensor:
        """Decode the code (B, D) and attributes (B, A) of one frame to (B, C, H, W)."""
        return self.decode_frames(code[:, None], attributes[:, None])[:, 0]

    def _frame_attributes(
        self, control: AttributeControl, ids: Mapping[str, Tensor], logits: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """Attributes of one frame, (B, A). logits: for those that are UNKNOWN; None: all are known."""
        reference = self.dynamics.reference
        parts = [reference.new_zeros(len(control.names), 0)]
        for name, values in self.attributes.items():
            known = ids[name].to(reference.device)
            row = logits[name] if logits else reference.new_zeros(len(known), len(values))
            parts.append(attribute_vector(known, row))
        return torch.cat(parts, -1)
