"""zoo.losses against numbers worked out by hand and torchvision's own VGG-19."""

import math

import pytest
import torch
import torch.nn.functional as F
from torchvision.models.vgg import cfgs, make_layers

from zoo.errors import ZooError
from zoo.losses.adversarial import OBJECTIVES, discriminator_loss, generator_loss
from zoo.losses.feature_matching import feature_matching
from zoo.losses.perceptual import LAYER_WEIGHTS, VGG19, PerceptualLoss, find_vgg19
from zoo.losses.warping import flow_confidence, flow_loss, masked_l1, warp_loss


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# ---------------------------------------------------------------- adversarial

REAL = [torch.tensor([3.0, 0.5]), torch.tensor([-1.0])]  # two scales of different size
FAKE = [torch.tensor([-2.0, 1.0]), torch.tensor([0.0])]


def log1pexp(x):
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(
    ("objective", "discriminator", "generator"),
    [
        ("ls", (4 + 0.25) / 2 + 4 + (4 + 1) / 2 + 0, (9 + 0) / 2 + 1),
        ("hinge", (0 + 0.5) / 2 + 2 + (0 + 2) / 2 + 1, (2 - 1) / 2 + 0),
        (
            "original",
            (log1pexp(-3) + log1pexp(-0.5)) / 2 + log1pexp(1) + (log1pexp(-2) + log1pexp(1)) / 2 + log1pexp(0),
            (log1pexp(2) + log1pexp(-1)) / 2 + log1pexp(0),
        ),
    ],
)
def test_objectives_sum_scales_and_average_patches(objective, discriminator, generator):
    assert discriminator_loss(REAL, FAKE, objective).item() == pytest.approx(discriminator)
    assert generator_loss(FAKE, objective).item() == pytest.approx(generator)


def test_original_is_cross_entropy_with_logits():
    real, fake = noise(2, 1, 3, 3), noise(2, 1, 3, 3, seed=1)
    wanted = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    wanted = wanted + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    torch.testing.assert_close(discriminator_loss([real], [fake], "original"), wanted)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_objectives_of_bfloat16_scores_are_float32(objective):
    scores = [(300 * noise(2, 1, 5, 5)).bfloat16().requires_grad_()]
    with torch.autocast("cpu", torch.bfloat16):
        losses = discriminator_loss(scores, scores, objective), generator_loss(scores, objective)
    for loss in losses:
        assert loss.dtype == torch.float32
        assert loss.isfinite()
        assert torch.autograd.grad(loss, scores, retain_graph=True)[0].isfinite().all()


def test_an_unknown_objective_is_refused():
    with pytest.raises(ZooError, match=r"model\.objective=hing is not a choice\. Did you mean `hinge`"):
        generator_loss(FAKE, "hing")


# ---------------------------------------------------------------- feature matching


def maps(*values):
    """Feature maps of one scale, of growing width; the last one is the score."""
    return [torch.full((1, i + 1, 2, 2), float(v)) for i, v in enumerate(values)]


def test_feature_matching_by_hand():
    fake = [maps(1, 2, 99), maps(0, 0, -99)]
    real = [maps(0, 4, 0), maps(3, -1, 0)]
    # per scale 4/2 maps times the sum of |differences|, the score left out; then the mean of two scales
    assert feature_matching(fake, real).item() == pytest.approx((2 * (1 + 2) + 2 * (3 + 1)) / 2)


def test_four_maps_have_the_factor_one():
    assert feature_matching([maps(1, 1, 1, 1, 0)], [maps(0, 0, 0, 0, 0)]).item() == pytest.approx(4.0)


def test_feature_matching_leaves_the_real_side_alone():
    fake, real = ([noise(1, 2, 3, 3, seed=s).requires_grad_() for s in seeds] for seeds in ((0, 1), (2, 3)))
    feature_matching([fake], [real]).backward()
    assert fake[0].grad is not None
    assert all(x.grad is None for x in (fake[1], *real))


def test_feature_matching_of_bfloat16_maps_is_float32():
    fake, real = ([noise(1, 2, 3, 3, seed=s).bfloat16() for s in (a, a + 1)] for a in (0, 5))
    with torch.autocast("cpu", torch.bfloat16):
        loss = feature_matching([fake], [real])
    assert loss.dtype == torch.float32
    assert loss.isfinite()


# ---------------------------------------------------------------- warping


def test_masked_l1_counts_masked_pixels_in_its_mean():
    a, b = torch.tensor([[[1.0, 5.0]], [[2.0, 7.0]]]), torch.zeros(2, 1, 2)
    confidence = torch.tensor([[[1.0, 0.0]]])
    assert masked_l1(a, b, confidence).item() == pytest.approx((1 + 2) / 4)
    assert masked_l1(a, b, 0.5 * confidence).item() == pytest.approx((1 + 2) / 8)


def test_confidence_sums_the_squares_of_the_channels():
    previous, flow = torch.zeros(1, 3, 1, 4), torch.zeros(1, 2, 1, 4)
    current = torch.zeros(1, 3, 1, 4)
    current[0, 0, 0, 1] = 0.14  # 0.0196 < 0.02
    current[0, :, 0, 2] = 0.085  # 3 · 0.007225 = 0.0217 > 0.02
    current[0, 2, 0, 3] = 0.2
    assert flow_confidence(current, previous, flow).tolist() == [[[[1.0, 1.0, 0.0, 0.0]]]]
    assert flow_confidence(current, previous, flow, threshold=0.03).tolist() == [[[[1.0, 1.0, 1.0, 0.0]]]]


def moved_frames():
    """A frame, the next, which looks two pixels to its right, and the flow between; (1, 1, ., 6, 8)."""
    previous = noise(1, 1, 3, 6, 8)
    flow = torch.zeros(1, 1, 2, 6, 8)
    flow[:, :, 0] = 2.0
    current = torch.cat([previous[..., 2:], noise(1, 1, 3, 6, 2, seed=1)], -1)
    return previous, current, flow


def test_confidence_and_warp_loss_follow_the_true_flow():
    previous, current, flow = moved_frames()
    trust = flow_confidence(current, previous, flow)
    assert trust.shape == (1, 1, 1, 6, 8)
    assert trust[..., :6].min() == 1
    assert trust[..., 6:].mean() < 0.5  # nothing of the previous frame went there
    known = torch.zeros(1, 1, 1, 6, 8)
    known[..., :6] = 1.0
    assert warp_loss(previous, current, flow, known) == 0
    assert warp_loss(previous, current, -flow, known) > 0.1
    assert warp_loss(current, previous, flow, known) > 0.1


def test_flow_loss_is_the_mean_distance_of_components():
    _, _, flow = moved_frames()
    predicted = flow + torch.tensor([3.0, -1.0]).view(2, 1, 1)
    assert flow_loss(predicted, flow, torch.ones(1, 1, 1, 6, 8)).item() == pytest.approx(2.0)


def test_warping_losses_under_autocast_are_finite_float32():
    previous, current, flow = moved_frames()
    predicted = flow.bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        trust = flow_confidence(current.bfloat16(), previous.bfloat16(), flow)
        loss = flow_loss(predicted, flow + 1, trust) + warp_loss(previous, current, predicted, trust)
    loss.backward()
    assert loss.dtype == trust.dtype == torch.float32
    assert loss.isfinite()
    assert predicted.grad.isfinite().all()


# ---------------------------------------------------------------- perceptual


@pytest.fixture(scope="module")
def vgg19():
    """The convolutions of torchvision's VGG-19 with random weights."""
    torch.manual_seed(0)
    return make_layers(cfgs["E"]).requires_grad_(False)


@pytest.fixture(scope="module")
def weights(vgg19, tmp_path_factory):
    state = {f"features.{name}": value for name, value in vgg19.state_dict().items()}
    path = tmp_path_factory.mktemp("vgg") / VGG19
    torch.save({**state, "classifier.0.weight": torch.zeros(1)}, path)
    return path


@pytest.fixture(scope="module")
def perceptual(weights):
    return PerceptualLoss(weights)


def test_the_five_layers_are_those_of_torchvision(vgg19, perceptual):
    image = noise(2, 3, 32, 48)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    x = ((image + 1) / 2 - mean) / std
    wanted = []
    for number, layer in enumerate(vgg19):
        x = layer(x.clone())  # torchvision's ReLU works in place
        if number in (1, 6, 11, 20, 29):  # relu1_1, relu2_1, relu3_1, relu4_1, relu5_1
            wanted.append(x)
    found = perceptual.features(image)
    for got, want in zip(found, wanted, strict=True):
        torch.testing.assert_close(got, want)


def test_perceptual_is_the_weighted_sum_of_layer_distances(perceptual):
    image, target = noise(1, 3, 32, 32), noise(1, 3, 32, 32, seed=1)
    pairs = zip(perceptual.features(image), perceptual.features(target), strict=True)
    by_layer = [(a - b).abs().mean().item() for a, b in pairs]
    wanted = sum(w * d for w, d in zip((1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), by_layer, strict=True))
    assert perceptual(image, target).item() == pytest.approx(wanted)
    assert perceptual(image, image).item() == 0
    assert perceptual(image[None], target[None]).item() == pytest.approx(wanted)


def test_one_layer_by_hand(vgg19, tmp_path):
    state = {f"features.{name}": torch.zeros_like(value) for name, value in vgg19.state_dict().items()}
    state["features.0.weight"][0, 0, 1, 1] = 1.0  # the first of 64 features is the red channel, normalised
    torch.save(state, tmp_path / VGG19)
    white, black = torch.ones(1, 3, 16, 16), -torch.ones(1, 3, 16, 16)
    loss = PerceptualLoss(tmp_path / VGG19)(white, black)  # black is below the mean: its ReLU is 0
    assert loss.item() == pytest.approx(LAYER_WEIGHTS[0] / 64 * (1 - 0.485) / 0.229)


def test_vgg19_is_frozen_and_no_part_of_the_model(perceptual):
    model = torch.nn.ModuleDict({"perceptual": perceptual})
    assert not model.state_dict()
    assert not list(model.parameters())
    assert not list(model.buffers())
    image, target = noise(1, 3, 32, 32).requires_grad_(), noise(1, 3, 32, 32, seed=1).requires_grad_()
    perceptual(image, target).backward()
    assert image.grad.abs().max() > 0
    assert target.grad is None
    assert all(parameter.grad is None for parameter in perceptual._hidden[0].parameters())


def test_vgg19_follows_the_pictures_to_their_device(weights):
    perceptual = PerceptualLoss(weights)
    perceptual(*torch.empty(2, 1, 3, 32, 32, device="meta"))
    assert all(parameter.is_meta for parameter in perceptual._hidden[0].parameters())


def test_perceptual_under_autocast_is_finite_float32(perceptual):
    image = noise(1, 3, 16, 16).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = perceptual(image, noise(1, 3, 16, 16, seed=1))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert image.grad.isfinite().all()


def test_find_vgg19_looks_where_it_is_told_and_in_the_cache_of_torch(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert find_vgg19(None) is None
    cached = tmp_path / "checkpoints" / VGG19
    cached.parent.mkdir()
    cached.touch()
    assert find_vgg19(None) == cached
    assert find_vgg19(str(cached)) == cached
    with pytest.raises(ZooError, match=r"model\.vgg19=missing\.pth is not a file\..*vgg19-dcbb9e9d\.pth"):
        find_vgg19("missing.pth")


@pytest.mark.parametrize("content", [{"features.0.weight": torch.zeros(1)}, [1, 2], "not a checkpoint"])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "other.pth"
    if isinstance(content, str):
        path.write_text(content)
    else:
        torch.save(content, path)
    with pytest.raises(ZooError, match="does not hold torchvision's VGG-19"):
        PerceptualLoss(path)
