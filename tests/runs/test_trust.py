"""Settings of somebody else's run neither run code, nor start processes, nor leave the folder."""

import json
import stat
from dataclasses import asdict

import pytest
import yaml
from omegaconf import OmegaConf

from zoo.config.compose import prepare_hydra
from zoo.errors import ZooError
from zoo.io import signatures
from zoo.runs.files import CONFIG, JOB, SIGNATURE
from zoo.runs.load import data_config
from zoo.runs.trust import find_risks, is_own, refuse_untrusted, sign_run
from zoo.sweep.jobs import Job, JobRecord
from zoo.testing.rerun import tiny_plan
from zoo.training.resume import load_resumed


@pytest.fixture
def run(tmp_path):
    """A run folder with the settings of a training, not signed."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / CONFIG).write_text(yaml.safe_dump(tiny_plan("videovae", 8).config()))
    return folder


def change(run, **changed):
    """Change settings, ``data__workers=3`` is data.workers."""
    config = yaml.safe_load((run / CONFIG).read_text())
    for name, value in changed.items():
        *path, last = name.split("__")
        at = config
        for part in path:
            at = at[part]
        at[last] = value
    (run / CONFIG).write_text(yaml.safe_dump(config))


@pytest.fixture(autouse=True, scope="module")
def _hydra():
    prepare_hydra()


def resume(run, *typed):
    return load_resumed(run, OmegaConf.from_dotlist(list(typed)), (f"resume={run}", *typed))


def test_the_secret_is_made_once_for_the_user_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_STATE", str(tmp_path / "state"))
    signature = signatures.sign("purpose", b"content")
    secret = tmp_path / "state" / signatures.SECRET
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert len(secret.read_bytes()) == signatures.BYTES
    assert [path.name for path in secret.parent.iterdir()] == [signatures.SECRET]
    signatures._secret.cache_clear()
    assert signatures.is_signed("purpose", b"content", signature)
    assert not signatures.is_signed("another", b"content", signature)
    assert not signatures.is_signed("purpose", b"contents", signature)
    assert not signatures.is_signed("purpose", b"content", None)
    monkeypatch.setenv("ZOO_STATE", str(tmp_path / "of another user"))
    assert not signatures.is_signed("purpose", b"content", signature)


def test_the_state_folder_is_chosen(tmp_path, monkeypatch):
    monkeypatch.delenv("ZOO_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert signatures.state_folder() == tmp_path / "zoo"
    monkeypatch.setenv("ZOO_STATE", str(tmp_path / "mine"))
    assert signatures.state_folder() == tmp_path / "mine"


def test_a_secret_that_others_can_read_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_STATE", str(tmp_path))
    secret = tmp_path / signatures.SECRET
    secret.write_bytes(b"0" * signatures.BYTES)
    secret.chmod(0o644)
    with pytest.warns(UserWarning, match=r"secret cannot be used: .*chmod 600"):
        signed = signatures.sign("purpose", b"")
    secret.chmod(0o600)
    signatures._secret.cache_clear()
    assert not signatures.is_signed("purpose", b"", signed)


RISKS = {
    "data__workers": 5000,
    "strategy__devices": "500",
    "strategy__name": "ddp",
    "trainer__threads": 100_000,
    "trainer__num_nodes": 9,
    "trainer__compile": True,
    "evaluation__features": "run/net.pt",
    "evaluation__features_weights": "i3d.pt",
    "evaluation__classifier": "/home/somebody/run",
    "evaluation__segmenter": "segmenter",
    "logger__entity": "somebody",
}


@pytest.mark.parametrize("name", RISKS)
def test_a_risk_is_used_if_it_is_typed_again_or_trusted(name, run, monkeypatch):
    monkeypatch.chdir(run.parent)
    change(run, **{name: RISKS[name]})
    key = name.replace("__", ".")
    typed = f"{key}={RISKS[name]}"
    with pytest.raises(ZooError, match=rf"not signed as your own run.*{key}={RISKS[name]}.*trust=true, or type again"):
        resume(run)
    assert not (run / SIGNATURE).exists()
    resume(run, typed)
    assert is_own(run)
    resume(run)  # accepted once, so signed
    (run / SIGNATURE).unlink()
    resume(run, "trust=true")
    assert is_own(run)


def test_harmless_settings_of_somebody_else_resume_untyped(run):
    config, _ = resume(run)
    assert config.model.name == "videovae"


def test_settings_that_are_typed_differently_are_refused(run):
    change(run, evaluation__features="run/net.pt")
    with pytest.raises(ZooError, match="trust=true"):
        resume(run, "evaluation.features=mine.pt")
    with pytest.raises(ZooError, match=r"seed=3: a training resumes with the settings"):
        resume(run, "seed=3")
    change(run, data__workers=5000, evaluation__features=None)
    assert resume(run, "data.workers=1")[0].data.workers == 1
    assert not is_own(run)  # what is in the file was not accepted


def test_after_a_restart_the_command_counts_as_typed(run):
    """torchrun and SLURM repeat the command that began the training, where the state folder may be a new one."""
    change(run, data__workers=8)
    typed = OmegaConf.create(yaml.safe_load((run / CONFIG).read_text()))
    assert load_resumed(run, typed, ())[0].data.workers == 8
    (run / SIGNATURE).unlink()
    typed.data.workers = 4
    with pytest.raises(ZooError, match=r"data.workers=8"):
        load_resumed(run, typed, ())


def test_a_changed_file_is_not_signed(run, tmp_path, monkeypatch):
    """Neither other settings, nor another program under the same name."""
    monkeypatch.chdir(tmp_path)
    (run / "net.pt").write_bytes(b"program")
    change(run, evaluation__features="run/net.pt")
    sign_run(run)
    assert is_own(run)
    (run / "net.pt").write_bytes(b"another")
    assert not is_own(run)
    (run / "net.pt").write_bytes(b"program")
    assert is_own(run)
    change(run, seed=4)
    assert not is_own(run)


def test_paths_inside_the_folder_are_no_risk_unless_a_link_leads_out(run, tmp_path):
    inside = {"data": {"name": "folder", "root": str(run / "data")}}
    assert find_risks(inside, run) == {}
    (run / "data").symlink_to(tmp_path)
    assert list(find_risks(inside, run)) == ["data.root"]
    for root in ("videos", "../videos", "~/videos", str(run / "../videos")):
        assert list(find_risks({"data": {"root": root}}, run)) == ["data.root"]


def test_data_outside_of_a_folder_is_read_if_trusted(run, tmp_path):
    change(run, data={"name": "folder", "root": str(tmp_path / "photos"), "workers": 200})
    (run / "last.ckpt").touch()
    with pytest.raises(ZooError, match=r"data.root=.*photos\. If you trust its maker, type trust=true$"):
        data_config(str(run))
    assert data_config(str(run), trust=True).root == str(tmp_path / "photos")
    sign_run(run)
    assert data_config(str(run)).root == str(tmp_path / "photos")


def test_a_checkpoint_adds_no_risk_to_signed_settings(run, tmp_path):
    """The model's settings come from the checkpoint, which the signature does not cover."""
    sign_run(run)
    with pytest.raises(ZooError, match=r"model.image_run=/home"):
        refuse_untrusted(run, {"model": {"name": "vid2vid", "image_run": "/home/a"}}, lambda key, value: False)


def test_a_job_of_a_sweep_types_again_what_its_folder_needs(run):
    change(run, data__workers=8, evaluation__features="net works/i3d.pt")
    settings = yaml.safe_load((run / CONFIG).read_text())
    (run / "last.ckpt").touch()
    record = JobRecord("session", ["data.workers=8"], settings, "running")
    (run / JOB).write_text(json.dumps(asdict(record)))
    job = Job("session", run, ("data.workers=8",), settings)
    assert job.arguments()[2:] == ["data.workers=8", "evaluation.features='net works/i3d.pt'"]
    sign_run(run)
    assert len(job.arguments()) == 2
