"""Loading processes end with the training process, and leave nothing behind."""

import multiprocessing
import os
from multiprocessing.util import get_temp_dir
from pathlib import Path

import pytest

from zoo.data import workers


class EndedError(Exception):
    pass


def test_a_loading_process_without_parent_removes_its_folder(monkeypatch, tmp_path):
    """It ends by ``os._exit``, after which multiprocessing removes nothing."""

    def end(code):
        raise EndedError(code)

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("multiprocessing.util.Finalize", lambda *_, **__: None)  # the folder is gone by then
    monkeypatch.setitem(multiprocessing.current_process()._config, "tempdir", None)
    folder = Path(get_temp_dir())
    (folder / "listener-a").touch()
    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(EndedError, match="1"):
        workers.exit_with_parent(parent=-1)
    assert list(tmp_path.iterdir()) == []
