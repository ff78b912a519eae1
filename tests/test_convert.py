"""Released weights are converted to runs: settings are read off the tensors or required, bad files are refused."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import zoo
from tests.golden.vid2vid import build_generator, encode
from tests.helpers.paths import GOLDEN
from zoo import ZooError
from zoo.convert import convert, read_arguments
from zoo.data.decode import probe
from zoo.models.vid2vid.recurrence import Rollout
from zoo.sample import sample
from zoo.settings import SampleSettings
from zoo.types import SampleRequest

SIZE = {"height": 16, "width": 32}


def golden(name: str) -> dict:
    return torch.load(GOLDEN / f"{name}.pt", weights_only=True)


def saved(folder: Path, **states: dict) -> Path:
    """Save state dicts in files named as in the release."""
    folder.mkdir(exist_ok=True)
    for part, state in states.items():
        torch.save(state, folder / f"latest_net_{part}.pth")
    return folder


@pytest.fixture
def two_scales(tmp_path) -> Path:
    """Weights of two generators, with the discriminators of another recording."""
    coarse, fine = golden("g1g2_batch")["state_dict"]
    discriminators = golden("losses_plain")["state_dict"]
    return saved(
        tmp_path / "weights",
        G0=coarse,
        G1=fine,
        D=discriminators["netD"],
        D_T0=discriminators["netD_T0"],
        D_T1=discriminators["netD_T1"],
    )


def test_settings_are_read_off_the_tensors(two_scales, tmp_path):
    convert("vid2vid", two_scales, tmp_path / "run", {"label_count": 5, **SIZE})
    config = zoo.load(str(tmp_path / "run")).config
    assert (config.scales, config.width, config.downsamplings, config.blocks, config.local_blocks) == (2, 4, 2, 4, 3)
    assert (config.past_frames, config.norm, config.uses_flow, config.foreground) == (2, "batch", True, False)
    assert (config.discriminator_width, config.discriminator_layers, config.discriminator_scales) == (2, 3, 2)
    assert (config.video_frames, config.temporal_scales) == (3, 2)
    assert config.norm_statistics == "batch"


def test_a_converted_run_generates_the_frames_of_the_original(tmp_path):
    """With batch statistics, as in the original in train mode, from two real frames and a batch of one clip."""
    record = golden("train_chunk_bp2_first")
    weights = saved(tmp_path / "w", G0=record["state_dict"][0], G1=record["state_dict"][1])
    convert("vid2vid", weights, tmp_path / "run", {"label_count": 5, **SIZE})
    clip = {"labels": record["label"][:, :, 0].long(), "video": record["real"]}
    made = zoo.load(str(tmp_path / "run")).sample(SampleRequest(6, clip, context=2)).video[:, 2:]
    for number, chunk in enumerate(record["chunks"]):
        expected = chunk["fake_B"]
        assert (made[:, 2 * number : 2 * number + 2] - expected).norm() < 1e-3 * expected.norm()


def test_a_sample_does_not_depend_on_others_in_the_batch(tmp_path):
    """Norm statistics are those of each image, not of the batch."""
    record = golden("g1_batch")
    convert("vid2vid", saved(tmp_path / "w", G0=record["state_dict"][0]), tmp_path / "run", {"label_count": 5, **SIZE})
    model = zoo.load(str(tmp_path / "run"))
    clip = {"labels": record["label"][:, :, 0].long(), "video": record["prev_images"][:, [0, 1, 1]]}
    both = model.sample(SampleRequest(3, clip, context=1)).video
    alone = model.sample(SampleRequest(3, {k: v[1:] for k, v in clip.items()}, context=1)).video
    assert torch.allclose(both[1:], alone, atol=1e-5)


def test_running_statistics_can_be_chosen(tmp_path):
    record = golden("rollout_no_first_img_eval")
    settings = {"label_count": 5, "norm_statistics": "running", **SIZE}
    convert("vid2vid", saved(tmp_path / "w", G0=record["state_dict"][0]), tmp_path / "run", settings)
    model, generator = zoo.load(str(tmp_path / "run")), build_generator(record).eval()
    maps = encode(record, generator)
    with torch.no_grad():
        theirs = Rollout(generator).next_frame(maps, [], 2)[-1].frame
        ours = Rollout(model.generator).next_frame(maps, [], 2)[-1].frame
    assert torch.equal(ours, theirs)


def test_foreground_and_instance_maps_must_be_set(tmp_path):
    weights = saved(tmp_path / "w", G0=golden("g1_fg_inst_instance")["state_dict"][0])
    with pytest.raises(
        ZooError, match=r"expects 6 channels per frame. Type label_count=5 for 5 classes and instance edges"
    ):
        convert("vid2vid", weights, tmp_path / "run", SIZE)
    with pytest.raises(ZooError, match=r"weights do not determine which classes it generates. Type foreground="):
        convert("vid2vid", weights, tmp_path / "run", {"label_count": 5, **SIZE})
    with pytest.raises(ZooError, match=r"foreground=7 is not a class; the ids of the 5 classes are 0 to 4"):
        convert("vid2vid", weights, tmp_path / "run", {"label_count": 5, "foreground": [7], **SIZE})
    convert("vid2vid", weights, tmp_path / "run", {"label_count": 5, "foreground": [3], **SIZE})
    model = zoo.load(str(tmp_path / "run"))
    assert model.uses_instance_edges
    assert model.generator.foreground == (3,)


def test_a_converted_run_samples_from_given_maps(tmp_path):
    weights = saved(tmp_path / "w", G0=golden("g1_fg_inst_instance")["state_dict"][0])
    convert("vid2vid", weights, tmp_path / "run", {"label_count": 5, "foreground": [3], **SIZE})
    for folder in ("labels", "instances"):
        (tmp_path / folder).mkdir()
        for frame in range(4):
            cv2.imwrite(f"{tmp_path}/{folder}/{frame}.png", np.full((16, 32), frame, np.uint8))
    settings = SampleSettings(run=str(tmp_path / "run"), given=str(tmp_path / "labels"), first_frame="generated")
    with pytest.raises(ZooError, match=r"Type given_instances="):
        sample(settings)
    settings.given_instances = str(tmp_path / "instances")
    assert probe(sample(settings)[0]).frames == 4
    settings.first_frame = None  # the release starts from a real frame, which maps do not have
    with pytest.raises(ZooError, match=r"first_frame=given needs a real frame"):
        sample(settings)
    with pytest.raises(ZooError, match=r"holds converted weights, so it has no data set to sample from. Type given="):
        sample(SampleSettings(run=str(tmp_path / "run")))


@pytest.mark.parametrize("name", ["single_global", "single_local"])
def test_image_generators_become_pix2pixhd(name, tmp_path):
    entry = golden("misc")[name]
    weights = saved(tmp_path / "w", G=entry["state_dict"])
    convert("pix2pixhd", weights, tmp_path / "run", {"condition": "drawings", "height": 32, "width": 64})
    clip = {"condition": entry["x"][:, None], "video": torch.zeros(1, 1, 3, 32, 64)}
    made = zoo.load(str(tmp_path / "run")).sample(SampleRequest(1, clip)).video[:, 0]
    assert (made - entry["train"]).norm() < 1e-4 * entry["train"].norm()  # instance statistics


def test_files_of_torch_0_4_without_batch_counters_load(tmp_path):
    state = {k: v for k, v in golden("g1_batch")["state_dict"][0].items() if not k.endswith("num_batches_tracked")}
    settings = {"label_count": 5, "norm_statistics": "running", **SIZE}
    convert("vid2vid", saved(tmp_path / "w", G0=state), tmp_path / "run", settings)
    assert zoo.load(str(tmp_path / "run"))


def test_missing_and_unknown_layers_are_refused(tmp_path):
    state = dict(golden("g1_batch")["state_dict"][0])
    settings = {"label_count": 5, **SIZE}
    del state["model_res_flow.1.conv_block.5.weight"]
    with pytest.raises(
        ZooError, match=r"G does not match .*: 1 missing, such as scales.0.flow_decoder.1.layers.5.weight"
    ):
        convert("vid2vid", saved(tmp_path / "a", G0=state), tmp_path / "run", settings)
    with pytest.raises(ZooError, match=r"G0 has the layer extra.weight, which the released networks do not have"):
        convert(
            "vid2vid", saved(tmp_path / "b", G0={**state, "extra.weight": torch.ones(1)}), tmp_path / "run", settings
        )
    assert not (tmp_path / "run").exists()


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("unpickled"),)


def test_other_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "weights"
    with pytest.raises(ZooError, match=r"there is no such folder"):
        convert("vid2vid", folder, tmp_path / "run", {})
    folder.mkdir()
    (folder / "10_net_G0.pth").write_bytes(b"nonsense")
    with pytest.raises(ZooError, match=r"contains no latest_net_<part>.pth; it contains 10_net_G0.pth. Type epoch=10"):
        convert("vid2vid", folder, tmp_path / "run", {})
    with pytest.raises(ZooError, match=r"it is not a complete PyTorch file"):
        convert("vid2vid", folder, tmp_path / "run", {"epoch": 10})
    (folder / "10_net_G0.pth").write_bytes(pickle.dumps({"weight": Evil()}))
    with pytest.raises(ZooError, match=r"so it would run code. Nothing was run"):
        convert("vid2vid", folder, tmp_path / "run", {"epoch": 10})
    assert not (tmp_path / "unpickled").exists()
    saved(folder, G=golden("misc")["single_global"]["state_dict"])
    with pytest.raises(ZooError, match=r"no …_net_G0.pth. G is an image generator. Try: python -m zoo.convert pix2"):
        convert("vid2vid", folder, tmp_path / "run", {})
    saved(folder, G0=golden("misc")["single_global"]["state_dict"])
    with pytest.raises(ZooError, match=r"weights are not those of vid2vid's generator"):
        convert("vid2vid", folder, tmp_path / "run", {})
    saved(folder, G0={"state_dict": {}})
    with pytest.raises(ZooError, match=r"is a training checkpoint; its entry `state_dict` may be what you need"):
        convert("vid2vid", folder, tmp_path / "run", {})
    saved(folder, G0={"epoch": 3})
    with pytest.raises(ZooError, match=r"not a state dict"):
        convert("vid2vid", folder, tmp_path / "run", {})
    with pytest.raises(ZooError, match=r"has no setting `label_cout`. Did you mean `label_count`"):
        convert("vid2vid", folder, tmp_path / "run", {"label_cout": 3})


def test_an_existing_run_is_not_overwritten(two_scales, tmp_path):
    convert("vid2vid", two_scales, tmp_path / "run", {"label_count": 5, **SIZE})
    with pytest.raises(ZooError, match=r"already contains a run"):
        convert("vid2vid", two_scales, tmp_path / "run", {"label_count": 5, **SIZE})


def test_arguments_are_parsed():
    arguments = ["vid2vid", "from=a", "to=b", "label_count=35", "foreground=[26, 24]"]
    assert read_arguments(arguments) == ("vid2vid", Path("a"), Path("b"), {"label_count": 35, "foreground": [26, 24]})
    with pytest.raises(ZooError, match=r"found no to="):
        read_arguments(["vid2vid", "from=a"])
    with pytest.raises(ZooError, match=r"found 2 models"):
        read_arguments(["vid2vid", "svg", "from=a", "to=b"])


def change_files(folder: Path, *lost: str, **changed: dict) -> Path:
    """Delete some files of released weights and replace others."""
    for part in lost:
        (folder / f"latest_net_{part}.pth").unlink()
    return saved(folder, **changed)


def test_parts_of_different_models_are_refused(two_scales, tmp_path):
    settings = {"label_count": 5, **SIZE}
    discriminator = golden("losses_plain")["state_dict"]["netD"]
    first = {
        key: torch.cat([value, value], 1) if key.endswith("layer0.0.weight") else value
        for key, value in discriminator.items()
    }
    for lost, changed, sentence in (
        ((), {"D": first}, r"D has 16 input channels, but 8 are expected: 5 of the map and 3 of the image"),
        ((), {"D": {**discriminator, "extra.weight": torch.ones(1)}}, r"50 of 51 tensors are known"),
        (
            (),
            {"D": golden("losses_2scale")["state_dict"]["netD"]},
            r"D_T0 has 2 scales of 3 layers .*, but D has 3 of 3",
        ),
        (("D_T0",), {"D": discriminator}, r"D_T0 is missing; found latest_net_D_T1\.pth"),
        (("D_T1", "D"), {}, r"but not D\. Add"),
        (("G1",), {"G2": golden("g1g2_batch")["state_dict"][1]}, r"G1 is missing; found .*G0.*G2"),
    ):
        folder = tmp_path / f"case{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for path in two_scales.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        if "D_T1" in lost:
            saved(folder, D_T0=golden("losses_plain")["state_dict"]["netD_T0"])
        with pytest.raises(ZooError, match=sentence):
            convert("vid2vid", change_files(folder, *lost, **changed), tmp_path / "run", settings)
    assert not (tmp_path / "run").exists()


def test_an_image_generator_with_unknown_layers_is_refused(tmp_path):
    state = golden("misc")["single_local"]["state_dict"]
    weights = saved(tmp_path / "w", G={**state, "model2_1.1.weight": torch.ones(8, 12, 7, 7)})
    with pytest.raises(ZooError, match=r"has the layer model2_1\.1\.weight, which no released generator has"):
        convert("pix2pixhd", weights, tmp_path / "run", {"label_count": 12, **SIZE})


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"height": "abc"}, r"height=abc is not a positive integer"),
        ({"height": 16.5}, r"height=16\.5 is not a positive integer"),
        ({"fps": 0}, r"fps=0 is not a positive number"),
        ({"label_count": "x"}, r"label_count=x is not a positive integer"),
        ({"foreground": [99]}, r"has no foreground branch. Leave foreground= out"),
    ],
)
def test_wrong_settings_are_refused(changed, sentence, tmp_path):
    weights = saved(tmp_path / "w", G0=golden("g1_batch")["state_dict"][0])
    with pytest.raises(ZooError, match=sentence):
        convert("vid2vid", weights, tmp_path / "run", {"label_count": 5, **SIZE, **changed})


def test_unreadable_files_are_refused(tmp_path):
    weights = tmp_path / "w"
    weights.mkdir()
    (weights / "latest_net_G0.pth").touch()
    with pytest.raises(ZooError, match=r"it is empty or truncated"):
        convert("vid2vid", weights, tmp_path / "run", {})
    (weights / "latest_net_G0.pth").unlink()
    (weights / "latest_net_G0.pth").mkdir()
    with pytest.raises(ZooError, match="is no file, but a folder"):
        convert("vid2vid", weights, tmp_path / "run", {})
    (tmp_path / "file").touch()
    with pytest.raises(ZooError, match=r"is a file, but a new folder is expected"):
        convert("vid2vid", weights, tmp_path / "file", {})
    with pytest.raises(ZooError, match="A setting is not valid YAML"):
        read_arguments(["vid2vid", "from=a", "to=b", "height=[1"])
