"""The contract tests notice a model that breaks a promise of its card."""

from dataclasses import dataclass, replace

import pytest
import torch

from zoo.blocks.noise import sample_noise
from zoo.card import ModelCard, ModelConfig
from zoo.model import VideoModel, name_samples
from zoo.testing import ConditionalContract, SamplerContract, contract_class, contract_for, contracts
from zoo.types import ClipSpec, Sample

SPEC = ClipSpec(("video",), 8, 4, 4, 25.0)
CARD = ModelCard("toy", "", "", 2026, "", "", frozenset({"generate"}), (("video",),))


@dataclass
class ToyConfig(ModelConfig):
    name: str = "toy"
    most: int | None = 0

    @property
    def context_frames(self):
        return (0, self.most)

    @property
    def batch_statistics(self):
        return Toy.card.batch_statistics


class Toy(VideoModel[ToyConfig]):
    """Samples are noise, and optionally the mean of the batch besides."""

    card = CARD

    def __init__(self, config, noisy=True, mixes=False, scale=0.1):
        super().__init__(config, SPEC)
        self.noisy, self.mixes, self.scale = noisy, mixes, scale

    def training_step(self, clip, batch_idx): ...

    def sample(self, request):
        names, pieces = name_samples(request)
        made = sample_noise(
            request if self.noisy else replace(request, seed=0, draw=0), names, (request.frames, 3, 4, 4)
        )
        made = self.scale * made.clamp(-3, 3)
        made = made + made.mean(0) if self.mixes else made
        for clip in pieces:
            made[:, : request.context] = clip["video"][:, : request.context]
        return Sample(made)


@pytest.fixture
def toy(monkeypatch):
    """Give the contract a toy and a clip for it; `card` says what it promises."""

    def use(contract=SamplerContract, most=0, card=CARD, **toy):
        monkeypatch.setattr(Toy, "card", card)
        clip = {"video": torch.rand(2, 8, 3, 4, 4), "key": ["a", "b"], "fps": torch.tensor([25.0, 25.0])}
        monkeypatch.setattr(contracts, "tiny_model", lambda name: Toy(ToyConfig(most=most), **toy))
        monkeypatch.setattr(contracts, "tiny_clip", lambda name: clip)
        return contract()

    return use


def test_samples_that_depend_on_their_batch_must_be_declared(toy):
    toy().test_sample_does_not_depend_on_its_batch("toy")
    declared = replace(CARD, batch_statistics=True)
    toy(mixes=True, card=declared).test_sample_does_not_depend_on_its_batch("toy")
    for contract in (toy(mixes=True), toy(card=declared)):
        with pytest.raises(AssertionError):
            contract.test_sample_does_not_depend_on_its_batch("toy")


def test_samples_without_noise_must_be_declared(toy):
    toy().test_other_seeds_give_other_samples("toy")
    declared = replace(CARD, deterministic=True)
    toy(noisy=False, card=declared).test_other_seeds_give_other_samples("toy")
    for contract in (toy(noisy=False), toy(card=declared)):
        with pytest.raises(AssertionError):
            contract.test_other_seeds_give_other_samples("toy")


def test_values_beyond_the_range_are_noticed(toy):
    toy().test_sample_has_the_form_of_a_clip("toy")
    with pytest.raises(AssertionError):
        toy(scale=9.0).test_sample_has_the_form_of_a_clip("toy")


def test_context_that_is_not_copied_is_noticed(toy, monkeypatch):
    toy(ConditionalContract, most=1).test_context_frames_are_copied("toy")
    monkeypatch.setattr(Toy, "sample", lambda self, request: Sample(torch.zeros(2, request.frames, 3, 4, 4)))
    with pytest.raises(AssertionError):
        toy(ConditionalContract, most=1).test_context_frames_are_copied("toy")


@pytest.mark.parametrize(
    ("name", "contract"),
    [("vid2vid", "ConditionalContract"), ("videovae", "ConditionalContract"), ("classifier", "ClassifierContract"),
     ("segmenter", "SegmenterContract")],
)  # fmt: skip
def test_card_chooses_the_contract(name, contract):
    assert contract_class(name).__name__ == contract
    assert issubclass(contract_for(name), contract_class(name))


def test_code_that_is_promised_must_decode(toy):
    with pytest.raises(NotImplementedError):
        toy(card=replace(CARD, latent=True)).test_codes_are_decoded_and_interpolated("toy")
    toy().test_codes_are_decoded_and_interpolated("toy")
