"""A suite of metrics on the same clips: each clip is sampled once, whatever the number of metrics.

Shapes: B clips, T frames, C colours, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import cast

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from zoo.errors import ZooError
from zoo.evaluation.catalogue import METRICS, MetricCard
from zoo.evaluation.metric import FrameCurves, MetricValues, PairedMetric, Setup, Videos
from zoo.evaluation.protocol import Protocol
from zoo.types import Clip


@dataclass(frozen=True)
class Measurement:
    """What a suite has measured under one protocol."""

    protocol: Protocol
    """How it was measured."""

    metrics: MetricValues
    """Value by name."""

    curves: FrameCurves
    """Value of each measured frame, for paired metrics."""


@dataclass(frozen=True)
class Group:
    """Metrics of one protocol. Metrics that use a network have a protocol of their own, which names the network."""

    protocol: Protocol
    metrics: dict[str, Metric]

    def compute(self) -> MetricValues:
        """Return the values of all metrics of the group."""
        return {name: float(value) for metric in self.metrics.values() for name, value in metric.compute().items()}

    def curves(self) -> FrameCurves:
        """Return the curves of all paired metrics of the group."""
        paired = [metric for metric in self.metrics.values() if isinstance(metric, PairedMetric)]
        return {name: curve for metric in paired for name, curve in metric.curves().items()}


class ClipKeys(Metric):
    """Checksum of the real clips, independent of their order: of their keys and, if they are read from files, of the
    content of these."""

    sum: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sum", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, clip: Clip) -> None:
        """Add a batch of clips. The int64 sum wraps around, in the same way on every machine."""
        names = clip["key"]
        if "content" in clip:
            names = [f"{key} {content}" for key, content in zip(names, clip["content"], strict=True)]
        for name in names:
            self.sum += int.from_bytes(sha256(name.encode()).digest()[:6], "big")

    def compute(self) -> Tensor:
        """Return the sum over all ranks."""
        return self.sum


class Suite:
    """Several metrics that are updated, computed and reset together. Each rank updates its own with its own clips.

    names: of metrics in the catalogue. Raises ZooError for a metric that the setup does not allow.
    """

    def __init__(self, names: Sequence[str], protocol: Protocol, setup: Setup) -> None:
        self.protocol = protocol
        self.groups: list[Group] = []
        self.keys = ClipKeys()
        for name in dict.fromkeys(names):
            card = METRICS[name]
            metric = card.load()(card.name, setup.with_argument(card.argument))
            own = _metric_protocol(protocol, card, setup)
            group = next((group for group in self.groups if group.protocol == own), None)
            if group is None:
                self.groups.append(group := Group(own, {}))
            group.metrics[name] = metric

    def real_videos(self, clip: Clip) -> Videos:
        """What is measured of a batch of real clips, without the context. Suites that share it compute flow and
        features of the real clips once."""
        measured = without_context(clip, self.protocol.context)
        return Videos(measured["video"].float(), measured, last_given(clip, self.protocol.context))

    @torch.no_grad()
    def update(self, clip: Clip, samples: Iterable[Tensor], real: Videos | None = None) -> None:
        """Add a batch of real clips and their samples: one video (B, T, C, H, W) for each draw, context included.

        real: `real_videos` of the clips, where several suites share them. Draws are taken from ``samples`` one at a
        time. A generator that makes them needs the memory of one, since each is released before the next is made.
        Raises ZooError for a sample that is not finite.
        """
        real = real or self.real_videos(clip)
        self.update_videos(real, real=True)
        draws = iter(samples)
        for draw in range(self.protocol.draws):
            self._update_draw(next(draws), draw, real)  # no name here, which would keep the sample

    def update_real(self, clip: Clip) -> None:
        """Add a batch of real clips alone."""
        self.update_videos(self.real_videos(clip), real=True)

    def update_samples(self, names: Sequence[str], video: Tensor) -> None:
        """Add a batch of samples that are made from nothing, (B, T, C, H, W): no metric may see a clip beside them.

        names: of the samples. Raises ZooError for a sample that is not finite.
        """
        unlabelled = cast(Clip, {"key": list(names)})
        _check_finite(video, unlabelled)
        self.update_videos(Videos(video.float(), unlabelled), real=False)

    def _update_draw(self, sample: Tensor, draw: int, real: Videos) -> None:
        _check_finite(sample, real.clip)
        generated = sample.float().contiguous()[:, self.protocol.context :]
        with torch.autocast(generated.device.type, enabled=False):  # values must not depend on a training's precision
            for card, metric in self._metrics():
                if card.paired or card.draws:
                    metric.to(generated.device).update(generated, real.video, draw)
        self.update_videos(Videos(generated, real.clip, real.previous), real=False)

    @torch.no_grad()
    def update_videos(self, videos: Videos, real: bool) -> None:
        """Add a batch of real clips, or of samples, to the metrics that look at the two separately."""
        if real:
            self.keys.to(videos.video.device).update(videos.clip)
        with torch.autocast(videos.video.device.type, enabled=False):
            for card, metric in self._metrics():
                if not (card.paired or card.draws):
                    metric.to(videos.video.device).update(videos, real)

    def to(self, device: torch.device) -> None:
        """Move all states to the device on which ranks exchange them; a rank without clips has not moved them yet."""
        for metric in [self.keys, *(metric for _, metric in self._metrics())]:
            metric.to(device)

    def compute(self) -> list[Measurement]:
        """Return the values and curves over all ranks, one measurement for each protocol."""
        keys = f"{int(self.keys.compute()) % 16**12:012x}"
        return [
            Measurement(replace(group.protocol, clip_keys=keys), group.compute(), group.curves())
            for group in self.groups
        ]

    def reset(self) -> None:
        """Clear every state."""
        for metric in [self.keys, *(metric for _, metric in self._metrics())]:
            metric.reset()

    def _metrics(self) -> list[tuple[MetricCard, Metric]]:
        return [(METRICS[name], metric) for group in self.groups for name, metric in group.metrics.items()]


def last_given(clip: Clip, context: int) -> Tensor | None:
    """The last given frame of a batch of clips, (B, C, H, W); None without given frames."""
    return clip["video"][:, context - 1].float() if context else None


def without_context(clip: Clip, context: int) -> Clip:
    """Cut the first ``context`` frames off every field of a batch of clips."""
    cut = {
        key: value[:, context:] if isinstance(value, Tensor) and value.ndim > 1 else value
        for key, value in clip.items()
    }
    if "attributes" in clip:
        cut["attributes"] = {name: ids[:, context:] for name, ids in clip["attributes"].items()}
    return cut  # type: ignore[return-value]


def _check_finite(generated: Tensor, clip: Clip) -> None:
    for video, key in zip(generated, clip["key"], strict=True):
        if not video.isfinite().all():
            raise ZooError(
                f"The sample of the clip {key} contains NaN or infinite values, so nothing can be measured. The "
                "training may have diverged: look at its loss curves, and try an earlier checkpoint."
            )


def _metric_protocol(protocol: Protocol, card: MetricCard, setup: Setup) -> Protocol:
    """The protocol of a metric: it names the network that the metric uses, and has the checksum of its weights."""
    if card.tool == "features":
        assert setup.features is not None
        return replace(protocol, features=setup.features.name, features_sha256=setup.features.sha256)
    if card.tool in ("classifier", "segmenter"):
        return replace(protocol, features=card.tool, features_sha256=checksum(getattr(setup, card.tool)))
    if card.tool == "flow":
        assert setup.flow is not None
        return replace(protocol, flow_sha256=setup.flow.sha256)
    return protocol


def checksum(network: nn.Module) -> str:
    """Return the first 16 hex digits of the SHA-256 of a network's weights, the same on every machine."""
    digest = sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
