"""Sweeps: every job runs once, in its own process and folder, whatever happens to the others or to the sweep.

Most tests run the command itself, with a fake training program.
"""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf

from tests.test_train import TINY
from zoo.cli import explain
from zoo.config.overrides import sweep_digest
from zoo.devices.launch import is_main_task, without_launcher_environment
from zoo.errors import ZooError
from zoo.sweep import processes, slots
from zoo.sweep.command import check_sweep, parse_sweep_arguments
from zoo.sweep.jobs import FAILED, RUNNING, Job, changed_settings, quote, read_record
from zoo.sweep.processes import run_jobs
from zoo.sweep.slots import parse_slots
from zoo.sweep.summary import failure_message

TRAINING = """
import json, os, pathlib, signal, subprocess, sys, time
overrides = dict(word.split("=", 1) for word in sys.argv[1:])
run = pathlib.Path(overrides["hydra.run.dir"].strip('"'))
(run / "environment.json").write_text(json.dumps(dict(os.environ)))
(run / "arguments.json").write_text(json.dumps([*json.loads((run / "arguments.json").read_text()), sys.argv[1:]]
    if (run / "arguments.json").exists() else [sys.argv[1:]]))
(run / "config.yaml").write_text("")
seed = int(overrides.get("seed", 0))
if seed == 13:
    print("working\\n\\nThere is no luck\\nin this.")
    sys.exit(1)
if seed == 66:  # trains until it is stopped, with a worker that would outlive it
    worker = subprocess.Popen(["sleep", "600"])
    (run / "processes").write_text(f"{os.getpid()} {worker.pid}")
    def save(*_):
        time.sleep(0.5)
        (run / "last.ckpt").write_text("")
        sys.exit(143)
    signal.signal(signal.SIGTERM, save)
    (run / "ready").write_text("")
    time.sleep(600)
if seed >= 100:  # one of two that wait for each other
    until = time.monotonic() + 20
    while len(list(run.parent.glob("*/arguments.json"))) < 2:
        assert time.monotonic() < until, "alone"
        time.sleep(0.05)
outcome = {"finished": True, "metrics": {}, "objective": "val/l1@x", "value": 0.5 + seed, "mode": "min"}
(run / "outcome.json").write_text(json.dumps(outcome))
print("trained")
"""
SWEEP = """
import sys
from zoo.sweep import processes
processes.COMMAND = (sys.executable, sys.argv.pop(1))
from zoo.train import main
main()
"""


@pytest.fixture
def start(tmp_path):
    """Start a sweep of fake trainings in a temporary folder."""
    (tmp_path / "training.py").write_text(TRAINING)
    started = []

    def start(*words: str, **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", SWEEP, str(tmp_path / "training.py"), "-m", *words],
            cwd=tmp_path,
            env={**{k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def swept(start):
    def swept(*words: str, **environment: str) -> tuple[int, str]:
        process = start(*words, **environment)
        output = process.communicate()[0]
        return process.returncode, output

    return swept


def runs(folder: Path) -> list[Path]:
    return sorted(folder.glob("runs/sweep-*/[0-9]*/"))


def recorded_arguments(run: Path) -> list[list[str]]:
    return json.loads((run / "arguments.json").read_text())


# ---------------------------------------------------------------- the command


def test_a_failed_job_is_reported_and_the_others_run(swept, tmp_path):
    code, output = swept("seed=1,13,2", "budget.clips=7")
    assert code == 1
    assert [run.name for run in runs(tmp_path)] == ["0", "1", "2"]
    assert [len(recorded_arguments(run)) for run in runs(tmp_path)] == [1, 1, 1]
    assert recorded_arguments(runs(tmp_path)[2])[0] == [
        "seed=2",
        "budget.clips=7",
        f"hydra.run.dir={quote(str(runs(tmp_path)[2]))}",
    ]
    lines = [" ".join(line.split()) for line in output.splitlines()]
    assert "0 seed=1 done val/l1@x = 1.5000" in lines
    assert "1 seed=13 failed There is no luck in this." in lines
    assert "2 seed=2 done val/l1@x = 2.5000" in lines
    assert (runs(tmp_path)[1] / "output.txt").read_text().startswith("working\n")
    assert output.count("working") == 1  # printed while the job runs


def test_the_same_command_resumes(swept, tmp_path):
    swept("seed=1,13")
    code, output = swept("seed=1,13", "slots=2x0", "launcher=local")
    assert code == 1
    assert "1 skipped (done before), 1 failed" in output
    done, failed = runs(tmp_path)
    assert len(recorded_arguments(done)) == 1
    assert recorded_arguments(failed)[1] == ["seed=13", "overwrite=true", f"hydra.run.dir={quote(str(failed))}"]


def test_invalid_jobs_are_left_out_and_the_others_keep_their_numbers(swept, tmp_path):
    assert swept("model=vid2vidd,videovae", "data.height=33,64")[0] == 1
    assert [run.name for run in runs(tmp_path)] == ["0", "1", "2", "3"]
    assert [(run / "outcome.json").exists() for run in runs(tmp_path)] == [False, False, False, True]
    assert "Did you mean `vid2vid`?" in read_record(runs(tmp_path)[0]).sentence
    assert "data.height=64" in read_record(runs(tmp_path)[2]).sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model=vid2vidd", "seed=1,2"], "There is no model `vid2vidd`. Did you mean `vid2vid`?"),
        (["model.widht=1,2"], "There is no setting `model.widht`. Did you mean `width`?"),
        (["model.norm=layer", "seed=1,2"], "model.norm=layer is not a choice. Choices: instance, batch."),
        (["slots=many"], "slots=many is not valid; expected <jobs at a time>x<GPUs for each>."),
        (["slots=2x1"], "slots=2x1 needs 2 GPUs, but none can be used here. Try: slots=2x0"),
    ],
)
def test_an_error_in_all_jobs_is_printed_once(swept, tmp_path, words, sentence):
    code, output = swept(*words, CUDA_VISIBLE_DEVICES="")
    assert code == 1
    assert output.count(sentence) == 1
    assert "Traceback" not in output
    assert list(tmp_path.glob("runs/*")) == []


def test_two_slots_run_two_jobs_at_a_time(swept, tmp_path, monkeypatch):
    code, output = swept("seed=100,101", "slots=2x0", RANK="1", MASTER_PORT="1", SLURM_NTASKS="4")
    assert code == 0, output
    for run in runs(tmp_path):
        environment = json.loads((run / "environment.json").read_text())
        assert environment["CUDA_VISIBLE_DEVICES"] == ""
        assert environment["OMP_NUM_THREADS"] == str(max(1, slots.processors() // 2))
        assert not {"RANK", "MASTER_PORT", "SLURM_NTASKS"} & set(environment)


def test_a_folder_with_another_run_is_refused(swept, tmp_path):
    swept("seed=1,2", "hydra.sweep.dir=here")
    code, output = swept("seed=1,3", "hydra.sweep.dir=here")
    assert code == 1
    assert "1 skipped (done before), 1 failed" in output
    refused = tmp_path / "here/1"
    assert "contains a run with other settings: `seed` is 2 there and 3 here." in read_record(refused).sentence
    assert len(recorded_arguments(refused)) == 1
    assert "2 skipped" in swept("seed=1,2", "hydra.sweep.dir=here")[1]  # the run is unchanged
    (refused / "job.json").unlink()
    swept("seed=1,2", "hydra.sweep.dir=here")
    assert "contains a run that was not started by a sweep" in read_record(refused).sentence


# ---------------------------------------------------------------- interruptions


def until(condition, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def alive(process: int) -> bool:
    state = Path(f"/proc/{process}/stat")
    try:
        return state.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes through /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_job_outlives_its_sweep_and_the_same_command_resumes(start, swept, tmp_path, number):
    sweep = start("seed=66,1")
    assert until(lambda: list(tmp_path.glob("runs/*/0/ready")))
    processes = [int(p) for p in next(tmp_path.glob("runs/*/0/processes")).read_text().split()]
    assert all(map(alive, processes))
    os.killpg(sweep.pid, number)
    output = sweep.communicate()[0]
    assert sweep.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    if number != signal.SIGKILL:
        assert not any(map(alive, processes))  # the sweep has waited for them
        assert "It was stopped with the sweep." in output
        assert "It was not started." in output
    assert until(lambda: not any(map(alive, processes)))
    first = runs(tmp_path)[0]
    assert (first / "last.ckpt").exists()  # the job had time to save
    assert not (first / "outcome.json").exists()
    assert swept("seed=66,1")[0] == 0
    assert recorded_arguments(first)[1] == [f"resume={quote(str(first))}", f"hydra.run.dir={quote(str(first))}"]
    assert [len(recorded_arguments(run)) for run in runs(tmp_path)] == [2, 1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a process when its parent dies")
def test_a_job_ends_with_its_supervisor(tmp_path):
    job = "import pathlib, os, time; pathlib.Path('job').write_text(str(os.getpid())); time.sleep(600)"
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "zoo.sweep.supervisor", sys.executable, "-c", job], cwd=tmp_path, stdin=subprocess.PIPE
    )
    assert until(lambda: (tmp_path / "job").exists() and (tmp_path / "job").read_text())
    process = int((tmp_path / "job").read_text())
    assert alive(process)
    supervisor.kill()
    supervisor.communicate()
    assert until(lambda: not alive(process))


# ---------------------------------------------------------------- functions


@pytest.mark.parametrize(
    ("slots_setting", "gpus", "devices"),
    [
        (None, "0123", None),
        ("4x1", "0123", ["0", "1", "2", "3"]),
        ("2x2", "0123", ["0,1", "2,3"]),
        ("2", "0123", ["0,1", "2,3"]),
        ("3", "01234", ["0", "1", "2"]),
        ("2x0", "0123", ["", ""]),
        ("2", "", ["", ""]),
    ],
)
def test_slots_divide_the_gpus(monkeypatch, slots_setting, gpus, devices):
    monkeypatch.setattr(slots, "visible_gpus", lambda: list(gpus))
    parsed = parse_slots(slots_setting)
    assert [slot.get("CUDA_VISIBLE_DEVICES") for slot in parsed] == (devices or [None])


@pytest.mark.parametrize(("slots_setting", "advice"), [("3x1", "2x1"), ("1x3", "1x2"), ("4", "2x1")])
def test_more_slots_than_gpus_are_refused(monkeypatch, slots_setting, advice):
    monkeypatch.setattr(slots, "visible_gpus", lambda: ["4", "7"])
    with pytest.raises(
        ZooError, match=rf"slots={slots_setting} needs . GPUs, but 2 can be used here \(4, 7\)\. .*{advice}"
    ):
        parse_slots(slots_setting)


def test_slots_divide_the_threads_unless_omp_num_threads_is_set(monkeypatch):
    monkeypatch.setattr(slots, "processors", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert parse_slots("3x0")[0]["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert "OMP_NUM_THREADS" not in parse_slots("3x0")[0]


def test_tasks_of_submitit_are_the_processes_of_a_job():
    several = {"SUBMITIT_EXECUTOR": "slurm", "SLURM_NTASKS": "2", "SLURM_PROCID": "1", "LOCAL_RANK": "0", "HOME": "/"}
    assert set(without_launcher_environment(several)) == {"SUBMITIT_EXECUTOR", "SLURM_NTASKS", "SLURM_PROCID", "HOME"}
    assert set(without_launcher_environment({**several, "SLURM_NTASKS": "1"})) == {"SUBMITIT_EXECUTOR", "HOME"}
    assert not is_main_task(several)
    assert is_main_task({**several, "SLURM_PROCID": "0"})
    assert is_main_task({**several, "SLURM_NTASKS": "1"})


def test_the_digest_depends_on_the_jobs_only():
    assert sweep_digest(["seed=1,2", "launcher=slurm", "slots=2"]) == sweep_digest(["seed=1,2"])
    assert sweep_digest(["seed=1,2"]) != sweep_digest(["seed=1,2,3"])


def test_settings_of_sweeps_are_refused_in_a_single_run():
    with pytest.raises(ZooError, match=r"Type -m for a sweep: python -m zoo\.train -m slots=2"):
        parse_sweep_arguments(["slots=2"])
    assert parse_sweep_arguments(["seed=1", "launcher=local"]) is None
    assert parse_sweep_arguments(["-m", "--help"]) is None
    assert parse_sweep_arguments(["-m", "slots=2"]).overrides == ["slots=2"]


@pytest.mark.parametrize(
    ("option", "extra"),
    [("hydra/launcher/submitit_slurm", "slurm"), ("hydra/launcher/ray", "ray"), ("hydra/sweeper/optuna", "optuna")],
)
def test_an_engine_that_is_not_installed_is_explained(option, extra):
    problem = MissingConfigException("Could not find it", missing_cfg_file=option, options=["local"])
    assert f"pip install 'video-zoo[{extra}]'" in explain(problem)


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_an_engine_that_is_not_installed_stops_the_sweep_before_any_job(swept, tmp_path):
    code, output = swept("launcher=ray", "seed=1,2")
    assert (code, output.strip()) == (
        1,
        "ray needs hydra-ray-launcher, which is not installed: pip install 'video-zoo[ray]'",
    )
    assert list(tmp_path.glob("runs/*")) == []


def test_failure_messages():
    assert failure_message("1 of 2\n2 of 2\n\nThere is no x.\nType y.\n", 1) == "There is no x. Type y."
    trace = "Traceback (most recent call last):\n  File x\n    y\nRuntimeError: out of memory\n"
    assert failure_message(trace, 1) == "RuntimeError: out of memory"
    assert failure_message("1 of 2\n", 137) == "It was ended by SIGKILL. 1 of 2"
    assert failure_message("", 3) == "It ended with code 3 and printed nothing."


def test_every_changed_setting_is_named():
    there, here = {"model": {"width": 16, "name": "a"}, "old": 1}, {"model": {"width": 8, "name": "a"}, "new": 2}
    assert changed_settings(there, here) == [
        "`model.width` is 16 there and 8 here",
        "`old` is 1 there and None here",
        "`new` is None there and 2 here",
    ]


def test_a_refused_job_keeps_the_settings_of_the_run(tmp_path):
    first = Job("a", tmp_path / "0", ("seed=1",), {"seed": 1})
    first.write_record(RUNNING)
    (tmp_path / "0/config.yaml").write_text("")
    Job("b", tmp_path / "0", ("seed=2",), {"seed": 2}).write_record(FAILED, "refused")
    record = read_record(tmp_path / "0")
    assert (record.session, record.settings, record.sentence) == ("b", {"seed": 1}, "refused")


def test_a_job_whose_files_are_links_fails_and_the_others_run(tmp_path, monkeypatch):
    """The output of a job is appended to, and would end up in the file of somebody else."""
    monkeypatch.setattr(processes, "COMMAND", ("true",))
    secret = tmp_path / "bashrc"
    secret.write_text("mine")
    (tmp_path / "0").mkdir()
    (tmp_path / "0/output.txt").symlink_to(secret)
    jobs = [Job("a", tmp_path / number, (), {"seed": 1}) for number in "01"]
    run_jobs(jobs, [{}], verbose=False)
    first, second = (read_record(tmp_path / number) for number in "01")
    assert "output.txt -> " in first.sentence
    assert second.sentence == "It ended with code 0 and printed nothing."
    assert secret.read_text() == "mine"


def test_a_link_in_the_place_of_a_job_is_refused_before_the_first_job(tmp_path):
    (tmp_path / "0").symlink_to(tmp_path / "elsewhere")
    hydra = {"runtime": {"choices": {"hydra/launcher": "other"}}, "sweep": {"dir": str(tmp_path)}}
    with pytest.raises(ZooError, match=r"0 -> .*elsewhere: nothing is written through a link"):
        check_sweep(OmegaConf.create({"hydra": hydra, "slots": None}))


# ---------------------------------------------------------------- with real trainings

SMALL = [
    *TINY,
    "budget.clips=4",
    "evaluation.rounds=1",
    "evaluation.clips=2",
    "callbacks.gallery_clips=1",
    "logger.wandb=disabled",
    "strategy.accelerator=cpu",
]


def train(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "zoo.train", "-m", *dict.fromkeys([*SMALL, *words])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read_outcomes(folder: Path) -> list[dict]:
    return [json.loads((run / "outcome.json").read_text()) for run in runs(folder)]


def test_jobs_of_one_and_of_two_processes(tmp_path):
    words = ["strategy=ddp", "strategy.devices='1','2'", "slots=2x0"]
    output = train(tmp_path, *words)
    assert "2 done" in output
    one, two = read_outcomes(tmp_path)
    assert one["finished"]
    assert one["value"] == one["metrics"][one["objective"]] != two["value"]
    assert len((runs(tmp_path)[1] / "results.jsonl").read_text().splitlines()) == 1  # one training, by two processes
    assert "2 skipped" in train(tmp_path, *words)


def test_optuna_gets_the_objective_through_submitit(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    search = ["sweep=optuna", "model.lr=interval(1e-4,1e-2)", "hydra.sweeper.n_trials=1"]
    assert "1 done" in train(tmp_path, "launcher=slurm_local", *search)
    best = read_outcomes(tmp_path)[0]["value"]
    results = next(tmp_path.glob("runs/*/optimization_results.yaml")).read_text()
    assert f"best_value: {best}" in results


def test_ray_runs_the_jobs(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_ray_launcher")
    assert "1 done" in train(tmp_path, "launcher=ray", "+hydra.launcher.ray.init.num_cpus=1", "seed=3")
    assert read_outcomes(tmp_path)[0]["finished"]
