"""wandb's settings are the user's own: a folder that one stands in names no server, and Git is not asked about it."""

import os

from zoo.runs.wandb_import import WITHOUT_GIT, import_wandb


def test_settings_in_the_current_folder_are_left_out_which_is_said_once(tmp_path, monkeypatch, caplog):
    from wandb.sdk import wandb_setup

    monkeypatch.setattr(wandb_setup, "_singleton", None)  # as in a new process
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "home"))
    monkeypatch.setenv(WITHOUT_GIT, "true")
    monkeypatch.delenv(WITHOUT_GIT)
    monkeypatch.chdir(tmp_path)
    for folder, entity in (("home", "me"), ("wandb", "somebody")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "settings").write_text(f"[default]\nbase_url = https://{entity}.test\nentity = {entity}\n")
    with caplog.at_level("WARNING", "zoo"):
        import_wandb()
        import_wandb()
    settings = wandb_setup.singleton().settings
    assert (settings.base_url, settings.entity) == ("https://me.test", "me")
    assert settings.root_dir == os.getcwd() == str(tmp_path)  # noqa: PTH109
    assert settings.disable_git
    assert [record.message.partition(",")[0] for record in caplog.records] == [
        "wandb/settings in the current folder is not read"
    ]
