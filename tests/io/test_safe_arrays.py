"""NumPy archives: numbers are read; pickles, archives that grow and arrays larger than their file are refused."""

import io
import zipfile

import numpy as np
import pytest
import torch

from zoo.errors import ZooError
from zoo.io.safe_arrays import read_arrays


def test_arrays_are_read(tmp_path):
    file = tmp_path / "a.npz"
    arrays = {
        "a/W": np.arange(6, dtype=np.float32).reshape(2, 3),
        "N": np.array(3),
        "f": np.asfortranarray(np.eye(3)[:2]),
        "big": np.arange(3, dtype=">f4"),
    }
    np.savez_compressed(file, **arrays)
    found = read_arrays(file, "a snapshot")
    assert set(found) == set(arrays)
    for name, value in arrays.items():
        assert torch.equal(found[name], torch.from_numpy(value.astype(value.dtype.newbyteorder("="))))


def header(shape):
    """An array of that shape without its values."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return out.getvalue()


class RunsCode:
    """What a malicious pickle is made of."""

    def __reduce__(self):
        return (print, ("this must not run",))


def test_bad_files_are_refused(tmp_path, capsys):
    file = tmp_path / "a.npz"
    np.savez(file, a=np.array([RunsCode()], dtype=object))
    with pytest.raises(ZooError, match="holds object, and not numbers"):
        read_arrays(file, "a snapshot")
    assert "must not run" not in capsys.readouterr().out
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.npy", header((10**6, 10**6)))
    with pytest.raises(ZooError, match="states the shape"):
        read_arrays(file, "a snapshot")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", header((10**7,)) + bytes(4 * 10**7))
    with pytest.raises(ZooError, match="decompress"):
        read_arrays(file, "a snapshot")
    file.write_bytes(b"PK" + bytes(50))
    with pytest.raises(ZooError, match="cannot be read as a snapshot"):
        read_arrays(file, "a snapshot")
    with pytest.raises(ZooError, match="cannot be read"):
        read_arrays(tmp_path / "missing.npz", "a snapshot")
