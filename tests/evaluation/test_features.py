"""Feature networks: how each is called, and the error messages for wrong files."""

import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from zoo.errors import ZooError
from zoo.evaluation.features import lite0, videos
from zoo.evaluation.features.base import Features
from zoo.evaluation.features.custom import CustomFeatures
from zoo.evaluation.features.load import load_features
from zoo.evaluation.features.names import NETWORKS, check_features
from zoo.evaluation.metric import Videos

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit", "ignore::torch.jit.TracerWarning")

VIDEO = torch.rand(2, 16, 3, 24, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
CLIP = {"video": VIDEO, "fps": torch.ones(2), "key": ["a/0", "b/0"]}
TORCHVISIONS = [name for name, card in NETWORKS.items() if card.builds.startswith("videos:")]
BYTES = ((VIDEO + 1) * 127.5).round()


class I3D(nn.Module):
    """Returns shape, pixel range and two means of its input, then zeros."""

    def forward(self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False) -> Tensor:
        assert rescale
        assert resize
        assert return_features
        assert x.shape[2] >= 10
        seen = torch.stack(
            [x.amin((1, 2, 3, 4)), x.amax((1, 2, 3, 4)), x[:, 0, 3].mean((1, 2)), x[:, 2, 5].mean((1, 2))]
        )
        shape = torch.tensor([x.shape[1], x.shape[2], x.shape[3], x.shape[4]]).expand(x.shape[0], 4)
        return F.pad(torch.cat([shape, seen.T], 1), (0, 392))


class C3D(nn.Module):
    def __init__(self, probabilities: bool = True) -> None:
        super().__init__()
        self.probabilities = probabilities

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == 3
        assert x.shape[2] == 16
        logits = F.pad(x[:, :, 7].mean((2, 3)), (0, 98))
        return (logits / 25).softmax(-1) if self.probabilities else logits


class Inception(nn.Module):
    def forward(self, x: Tensor, return_features: bool = False, no_output_bias: bool = False) -> Tensor:
        assert x.dtype == torch.uint8
        means = x.float().mean((2, 3))
        if return_features:
            return F.pad(means, (0, 2045))
        assert no_output_bias
        return F.pad(means / 25, (0, 1005)).softmax(-1)


class Custom(nn.Module):
    def forward(self, video: Tensor) -> Tensor:
        assert video.shape[2] == 3
        return torch.cat([video.mean((1, 3, 4)), video.amin((1, 2, 3, 4))[:, None]], 1)


def script(module: nn.Module, path: Path) -> str:
    torch.jit.script(module).save(str(path))
    return str(path)


# ---------------------------------------------------------------- published TorchScript


def test_i3d_gets_pixels_from_0_to_255_channels_first(tmp_path):
    features = load_features("i3d", script(I3D(), tmp_path / "any.pt"))
    seen = features.clips(VIDEO)
    assert (features.name, features.size("clips"), seen.shape) == ("i3d", 400, (2, 400))
    for row, pixels in zip(seen, BYTES, strict=True):
        assert row[:4].tolist() == [3, 16, 24, 32]
        expected = [pixels.min(), pixels.max(), pixels[3, 0].mean(), pixels[5, 2].mean()]
        assert row[4:8].tolist() == pytest.approx([float(value) for value in expected])
    assert BYTES.min() == 0
    assert BYTES.max() == 255


def test_i3d_refuses_short_clips(tmp_path):
    features = load_features("i3d", script(I3D(), tmp_path / "any.pt"))
    assert features.check("fvd", "clips", 10) == 400
    with pytest.raises(ZooError, match="i3d takes clips of at least 10 frames, but 9 are measured"):
        features.check("fvd", "clips", 9)


def test_c3d_gives_probabilities_of_sixteen_frames(tmp_path):
    features = load_features("c3d", script(C3D(), tmp_path / "any.pt"))
    logits = F.pad(BYTES[:, 7].mean((2, 3)), (0, 98)) / 25
    assert torch.allclose(features.probabilities(VIDEO), logits.softmax(-1), atol=1e-6)
    assert features.check("video_is", "probabilities", 16, "clips") == 101
    with pytest.raises(ZooError, match="takes clips of exactly 16 frames, but 17 are measured"):
        features.check("video_is", "probabilities", 17, "clips")


def test_inception_gets_uint8_images(tmp_path):
    features = load_features("inception", script(Inception(), tmp_path / "any.pt"))
    means = BYTES.mean((3, 4))
    assert torch.allclose(features.frames(VIDEO), F.pad(means, (0, 2045)))
    expected = F.pad(means.flatten(0, 1) / 25, (0, 1005)).softmax(-1)
    assert torch.allclose(features.probabilities(VIDEO), expected, atol=1e-6)


def test_a_file_with_another_network_is_refused(tmp_path):
    own, logits = script(Custom(), tmp_path / "own.pt"), script(C3D(probabilities=False), tmp_path / "c3d.pt")
    with pytest.raises(ZooError, match=r"features=i3d does not take clips as it should: .*expected at most 2"):
        load_features("i3d", own)
    with pytest.raises(ZooError, match="gives 4 values for each of the probabilities, but c3d has 101"):
        load_features("c3d", script(_Transposed(), tmp_path / "transposed.pt"))
    with pytest.raises(ZooError, match="should give class probabilities, but they sum to 384"):
        load_features("c3d", logits)


class _Transposed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0, :4, 0, 0]


# ---------------------------------------------------------------- custom networks


def test_custom_file_gets_clips_unchanged(tmp_path):
    features = load_features(script(Custom(), tmp_path / "video-mae_v2.pt"))
    assert (features.name, features.clip_size) == ("videomaev2", 4)
    assert features.sha256 == sha256((tmp_path / "video-mae_v2.pt").read_bytes()).hexdigest()[:16]
    assert torch.allclose(features.clips(VIDEO), Custom()(VIDEO))


def test_custom_file_may_be_traced_or_frozen(tmp_path):
    torch.jit.trace(Custom(), VIDEO).save(tmp_path / "traced.pt")
    torch.jit.freeze(torch.jit.script(Custom().eval())).save(tmp_path / "frozen.pt")
    for name in ("traced", "frozen"):
        features = load_features(str(tmp_path / f"{name}.pt"))
        assert torch.allclose(features.clips(VIDEO[:1, :7]), Custom()(VIDEO[:1, :7]))


def test_custom_file_with_the_name_of_a_known_network_gets_a_prefix(tmp_path):
    assert load_features(script(Custom(), tmp_path / "i3d.pt")).name == "owni3d"


def test_custom_file_with_another_interface_is_refused(tmp_path):
    path = script(I3D(), tmp_path / "i3d_torchscript.pt")
    with pytest.raises(ZooError, match=f"type its name: features=i3d features_weights={path}"):
        load_features(path)
    with pytest.raises(ZooError, match=r"gives a tensor of shape \(\) for one clip, but one row of values is expected"):
        load_features(script(_Mean(), tmp_path / "mean.pt"))


class _Mean(nn.Module):
    def forward(self, video: Tensor) -> Tensor:
        return video.mean()


def test_custom_file_that_fails_on_the_clips_is_refused(tmp_path):
    class Small(nn.Module):
        def forward(self, video: Tensor) -> Tensor:
            assert video.shape[3] == 64, "frames must be small"
            return video.mean((3, 4)).flatten(1)

    features = load_features(script(Small(), tmp_path / "small.pt"))
    with pytest.raises(
        ZooError, match=r"small does not take these clips, \(2, 16, 3, 24, 32\): .*frames must be small"
    ):
        features.extract("clips", Videos(VIDEO, CLIP))


def test_custom_module_is_frozen_and_identified_by_its_weights():
    one, same, other = (CustomFeatures(_seeded(seed), "my net!") for seed in (0, 0, 1))
    assert one.name == "mynet"
    assert one.sha256 == same.sha256 != other.sha256
    assert len(one.sha256) == 16
    one.train()
    assert not any(module.training for module in one.modules())
    assert not any(parameter.requires_grad for parameter in one.parameters())


def _seeded(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.AdaptiveAvgPool3d((3, 1, 1)), nn.Flatten(), nn.Linear(48, 5), nn.Dropout())


# ---------------------------------------------------------------- torchvision


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """torchvision's smallest ResNet with random weights, in a temporary torch cache, under a name with its checksum."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(0)
    network = get_model("mc3_18").eval()
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(network.state_dict(), folder / "new.pth")
    start = sha256((folder / "new.pth").read_bytes()).hexdigest()[:8]
    (folder / "new.pth").rename(folder / f"mc3_18-{start}.pth")
    monkeypatch.setitem(NETWORKS, "mc3_18", replace(NETWORKS["mc3_18"], file=f"mc3_18-{start}.pth"))
    return network


@torch.no_grad()
def test_torchvision_network_without_its_head(cached):
    """With its own transform: resize to 128 x 171, centre-crop to 112 x 112, normalise as for Kinetics."""
    features = load_features("mc3_18")
    seen = features.clips(VIDEO[:, :4])
    assert (features.name, features.clip_size, seen.shape) == ("mc318", 512, (2, 512))
    pixels = F.interpolate((VIDEO[:, :4].flatten(0, 1) + 1) / 2, (128, 171), mode="bilinear")[..., 8:120, 30:142]
    mean, std = torch.tensor([0.43216, 0.394666, 0.37645]), torch.tensor([0.22803, 0.22145, 0.216989])
    x = (pixels - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    x = x.view(2, 4, 3, 112, 112).transpose(1, 2)
    assert torch.allclose(F.linear(seen, cached.fc.weight, cached.fc.bias), cached(x), atol=1e-4)


def test_other_torchvision_files_are_refused(cached, tmp_path, monkeypatch):
    path = next(tmp_path.rglob("mc3_18-*.pth"))
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(ZooError, match="is not the expected file: its SHA-256 is"):
        load_features("mc3_18")
    path.unlink()
    with pytest.raises(ZooError, match=r"there is no file .*/hub/checkpoints/mc3_18-.*or type features_weights=<file>"):
        load_features("mc3_18")


def test_file_names_are_those_of_torchvision():
    for name in TORCHVISIONS:
        assert get_model_weights(name)["KINETICS400_V1"].url.rpartition("/")[2] == NETWORKS[name].file


@pytest.mark.parametrize("name", TORCHVISIONS)
def test_size_of_every_torchvision_network(name, monkeypatch):
    """On the meta device, where a network of any size takes no memory."""
    with torch.device("meta"):
        weights = get_model(name).state_dict()
    monkeypatch.setattr(videos, "verify_sha256", lambda path, expected: "")
    monkeypatch.setattr(videos, "read_tensors", lambda path, what: weights)
    features = videos.VideoNetwork(NETWORKS[name], Path("none"), "0" * 64)
    sides = features.transform.crop_size
    assert features.network(torch.empty(1, 3, 16, *sides, device="meta")).shape == (1, features.clip_size)
    assert features.least_frames == get_model_weights(name)["KINETICS400_V1"].meta.get("min_temporal_size", 1)


# ---------------------------------------------------------------- EfficientNet-Lite0


@pytest.fixture(scope="module")
def classifier() -> Features:
    return load_features("lite0")


def test_lite0_classifies_a_photograph(classifier):
    """An image of scikit-learn; 698 is ImageNet's `palace`, 442 its `bell cote`."""
    import cv2
    import sklearn

    picture = cv2.imread(str(Path(sklearn.__file__).parent / "datasets" / "images" / "china.jpg"))
    video = torch.from_numpy(picture[..., ::-1].copy()).permute(2, 0, 1)[None, None] / 127.5 - 1
    seen = classifier.probabilities(video[..., 126:-126])[0]
    assert set(seen.topk(2).indices.tolist()) == {698, 442}
    assert float(seen.sum()) == pytest.approx(1, abs=1e-4)


def test_lite0_runs_once_for_all_views(classifier, monkeypatch):
    calls = []
    frames = type(classifier).frames
    monkeypatch.setattr(type(classifier), "frames", lambda self, video: (calls.append(1), frames(self, video))[1])
    clips = Videos(VIDEO[:, :2], CLIP)
    seen = {view: classifier.extract(view, clips) for view in ("clips", "frames", "probabilities")}
    assert len(calls) == 1
    assert {view: tuple(rows.shape) for view, rows in seen.items()} == {
        "clips": (2, 1280),
        "frames": (2, 2, 1280),
        "probabilities": (4, 1000),
    }
    for view, rows in seen.items():
        assert torch.equal(getattr(classifier, view)(VIDEO[:, :2]), rows)
    assert torch.equal(seen["clips"], seen["frames"].mean(1))


def test_lite0_needs_its_extra(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(lite0, "distribution", missing)
    with pytest.raises(ZooError, match=r"Type: pip install 'video-zoo\[features\]'"):
        load_features("lite0")


# ---------------------------------------------------------------- errors


def test_unknown_name_is_refused_without_importing_torch():
    code = (
        "import sys\nfrom zoo.evaluation.features.load import load_features\n"
        "try: load_features('r3d_81')\nexcept Exception as problem: print(problem)\nprint('torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "There is no feature network `r3d_81`. Did you mean `r3d_18`? Known: i3d, c3d" in said
    assert said.endswith("False\n")


def test_missing_files_are_named():
    with pytest.raises(
        ZooError, match=r"i3d needs its TorchScript file, i3d_torchscript.pt, .* features_weights=<file>"
    ):
        check_features("i3d", None)
    with pytest.raises(ZooError, match=r"features_weights=nowhere\.pt: there is no such file"):
        check_features("i3d", "nowhere.pt")
    with pytest.raises(ZooError, match=r"features=a/b\.pt: there is no such file"):
        check_features("a/b.pt", None)
    with pytest.raises(ZooError, match="Leave it out"):
        check_features("a/b.pt", "c.pt")


def test_files_other_than_torchscript_are_refused(tmp_path):
    (tmp_path / "text.pt").write_text("hello")
    torch.save(Custom().state_dict(), tmp_path / "weights.pt")
    torch.save({"model": nn.Linear(2, 2)}, tmp_path / "pickled.pt")  # torch.load would run pickled code
    for name in ("text", "weights", "pickled"):
        with pytest.raises(ZooError, match=f"{name}.pt is no TorchScript file: PytorchStreamReader.*torch.jit.script"):
            load_features(str(tmp_path / f"{name}.pt"))


def test_checksum_is_compared_before_the_file_is_opened(tmp_path):
    (tmp_path / "text.pt").write_text("hello")
    found = sha256(b"hello").hexdigest()
    with pytest.raises(ZooError, match=f"its SHA-256 is {found}, but abc123 was expected"):
        load_features(str(tmp_path / "text.pt"), sha256="ABC123")
    path = script(Custom(), tmp_path / "own.pt")
    known = sha256(Path(path).read_bytes()).hexdigest()
    assert load_features(path, sha256=known[:12].upper()).sha256 == known[:16]


def test_missing_views_are_refused(classifier, tmp_path):
    own = load_features(script(Custom(), tmp_path / "own.pt"))
    with pytest.raises(
        ZooError, match=r"fid needs features of frames, which the network own does not give\. Try: features=lite0"
    ):
        own.check("fid", "frames", 16)
    with pytest.raises(
        ZooError, match="video_is needs class probabilities of clips, which the network lite0 does not give"
    ):
        classifier.check("video_is", "probabilities", 16, "clips")


def test_non_finite_features_are_refused():
    class Logarithm(nn.Module):
        def forward(self, video: Tensor) -> Tensor:
            return video.amax((1, 3, 4)).log()

    features = CustomFeatures(Logarithm(), "log")
    with pytest.raises(ZooError, match="values that are not finite for clips such as a/0"):
        features.extract("clips", Videos(-VIDEO.abs(), CLIP))


def test_features_are_single_precision_under_autocast():
    features = CustomFeatures(_seeded(0), "linear")
    with torch.autocast("cpu", torch.bfloat16):
        seen = features.extract("clips", Videos(VIDEO, CLIP))
    assert torch.equal(seen, features.clips(VIDEO))
