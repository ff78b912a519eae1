"""Several metrics on the same clips: sample once, measure many.

Shapes: B clips, D draws, T frames, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from zoo.errors import ZooError
from zoo.evaluation.catalogue import METRICS, MetricCard
from zoo.evaluation.metric import Figures, Setup, Videos
from zoo.evaluation.protocol import Protocol
from zoo.types import Clip


@dataclass(frozen=True)
class Group:
    """Metrics under one protocol: those that look through a network have one of their own, which names it."""

    protocol: Protocol
    metrics: dict[str, Metric]

    def figures(self) -> Figures:
        """Those of all its metrics."""
        return {name: float(value) for metric in self.metrics.values() for name, value in metric.compute().items()}


class ClipKeys(Metric):
    """Which real clips were shown, as a checksum that does not depend on their order: of their keys and, where they
    come from files, of what these hold."""

    sum: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sum", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, clip: Clip) -> None:
        """Add clips; sums wrap around, alike on every machine."""
        names = clip["key"]
        if "content" in clip:
            names = [f"{key} {content}" for key, content in zip(names, clip["content"], strict=True)]
        for name in names:
            self.sum += int.from_bytes(sha256(name.encode()).digest()[:6], "big")

    def compute(self) -> Tensor:
        """The sum over all ranks."""
        return self.sum


class Suite:
    """Built once, fed with batches, asked at the end; then ``reset``. On several ranks each is fed its own clips."""

    def __init__(self, names: Sequence[str], protocol: Protocol, setup: Setup) -> None:
        self.protocol = protocol
        self.groups: list[Group] = []
        self.keys = ClipKeys()
        for name in dict.fromkeys(names):
            card = METRICS[name]
            metric = card.load()(card.name, setup.of(card.argument))
            own = _own(protocol, card, setup)
            group = next((group for group in self.groups if group.protocol == own), None)
            if group is None:
                self.groups.append(group := Group(own, {}))
            group.metrics[name] = metric

    @torch.no_grad()
    def update(self, clip: Clip, samples: Sequence[Tensor]) -> None:
        """Real clips, and one video (B, T, 3, H, W) for each draw, the frames that were given in both.

        Raises a ZooError for a sample that is not finite.
        """
        made = torch.stack([sample.float() for sample in samples], 1)
        _check_finite(made, clip)
        with torch.autocast(made.device.type, enabled=False):  # numbers do not depend on how precise a training is
            self._update(clip, made)

    def _update(self, clip: Clip, made: Tensor) -> None:
        known = without_given(clip, self.protocol.context)
        made, real = made[:, :, self.protocol.context :], known["video"].float()
        for card, metric in self._metrics():
            metric.to(made.device)
            if card.paired or card.draws:
                metric.update(made, real)
        self.look(Videos(real, known), real=True)
        for draw in range(made.shape[1]):
            self.look(Videos(made[:, draw], known), real=False)

    @torch.no_grad()
    def look(self, videos: Videos, real: bool) -> None:
        """Show clips to the metrics that look at real clips and samples each by themselves."""
        if real:
            self.keys.to(videos.video.device).update(videos.clip)
        for card, metric in self._metrics():
            if not (card.paired or card.draws):
                metric.to(videos.video.device).update(videos, real)

    def to(self, device: torch.device) -> None:
        """Where ranks exchange what they have; one that was fed no clips has not gone there yet."""
        for metric in [self.keys, *(metric for _, metric in self._metrics())]:
            metric.to(device)

    def compute(self) -> list[tuple[Protocol, Figures]]:
        """The figures of all ranks, by protocol."""
        keys = f"{int(self.keys.compute()) % 16**12:012x}"
        return [(replace(group.protocol, clip_keys=keys), group.figures()) for group in self.groups]

    def reset(self) -> None:
        """Forget every clip."""
        for metric in [self.keys, *(metric for _, metric in self._metrics())]:
            metric.reset()

    def _metrics(self) -> list[tuple[MetricCard, Metric]]:
        return [(METRICS[name], metric) for group in self.groups for name, metric in group.metrics.items()]


def without_given(clip: Clip, context: int) -> Clip:
    """A batch of clips from frame ``context`` on, in every field."""
    cut = {
        key: value[:, context:] if isinstance(value, Tensor) and value.ndim > 1 else value
        for key, value in clip.items()
    }
    if "attributes" in clip:
        cut["attributes"] = {name: ids[:, context:] for name, ids in clip["attributes"].items()}
    return cut  # type: ignore[return-value]


def _check_finite(made: Tensor, clip: Clip) -> None:
    for video, key in zip(made, clip["key"], strict=True):
        if not video.isfinite().all():
            raise ZooError(
                f"The sample of the clip {key} has values that are not finite numbers, so nothing can be measured. Its "
                "weights may have gone astray in training: look at the curves, and try an earlier checkpoint."
            )


def _own(protocol: Protocol, card: MetricCard, setup: Setup) -> Protocol:
    """The protocol of a metric: it names the network that the metric looks through, and its weights."""
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
    """The SHA-256 of a network's weights, 16 digits: the same on every machine that loads the same file."""
    digest = sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
