"""Which runs are the user's own, and what the settings of other runs may do. Imports no torch.

A training signs its run folder (`zoo.io.signatures`): the file ``signature.txt`` covers config.yaml, and the feature
networks that it names, since TorchScript is a program. Of a folder that is not signed, settings that run code, start
processes, lead out of the folder or send it to an account are used only if the user types them again, or trust=true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Any

from zoo.errors import ZooError, joined
from zoo.io.atomic import write_text
from zoo.io.bounded import read_bounded, read_bounded_text
from zoo.io.safe_settings import read_settings
from zoo.io.signatures import is_signed, sign
from zoo.runs.files import CONFIG, SIGNATURE

PURPOSE = "settings of a run"
CODE = ("evaluation.features", "evaluation.features_weights")
"""Settings that name files which may be programs."""
HARMLESS: Mapping[str, tuple[str, ...]] = {
    "data.workers": ("0", "1", "2"),
    "strategy.name": ("auto", "cpu"),
    "strategy.devices": ("auto", "1"),
    "trainer.num_nodes": ("1",),
    "trainer.threads": ("None", "1"),
    "trainer.compile": ("False",),
    "logger.entity": (),
}
"""Settings that start processes or threads, or send the run to an account, with the values that are harmless."""
PATHS = frozenset(
    {"root", "flow_weights", "image_run", "perceptual_file", "classifier", "segmenter"}
    | {"train_list", "val_list", "test_list"}
)
"""Names of settings that are paths even without a slash."""
NOT_USED = frozenset({"runs", "resume", "overwrite", "trust"})
"""Settings of the command, which config.yaml repeats and nothing reads there."""


def sign_run(run: Path) -> None:
    """Sign the settings of a run folder as the user's own."""
    write_text(run / SIGNATURE, sign(PURPOSE, _signed_content(run)) + "\n")


def is_own(run: Path) -> bool:
    """Whether the user has signed a run folder, and its settings and feature networks are still the same."""
    try:
        signature = read_bounded_text(run / SIGNATURE, 1000, errors="replace").strip()
        return is_signed(PURPOSE, _signed_content(run), signature)
    except (OSError, ZooError):
        return False


def _signed_content(run: Path) -> bytes:
    """The settings, and the checksums of the programs that they name."""
    evaluation = read_settings(run / CONFIG).get("evaluation")
    named = [evaluation.get(key.partition(".")[2]) for key in CODE] if isinstance(evaluation, Mapping) else []
    lines = [read_bounded(run / CONFIG)]
    for name in named:
        if isinstance(name, str) and Path(name).is_file():
            with Path(name).open("rb") as file:
                lines.append(file_digest(file, "sha256").digest())
    return b"\0".join(lines)


def find_risks(settings: Mapping[str, Any], run: Path) -> dict[str, Any]:
    """The settings of a run that run code, start processes or lead out of its folder: dotted key -> value."""
    return {key: value for key, value in _flatten(settings) if key not in NOT_USED and _is_risk(key, value, run)}


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _is_risk(key: str, value: Any, run: Path) -> bool:
    if value is None or value == "":
        return False
    if key in HARMLESS:
        return str(value) not in HARMLESS[key]
    if key == "evaluation.features_weights" or (key in CODE and _looks_like_a_path(key, str(value))):
        return True
    if isinstance(value, list | tuple):
        return any(isinstance(each, str) and each.startswith(("/", "~", "..")) for each in value)
    return isinstance(value, str) and _looks_like_a_path(key, value) and not _is_inside(Path(value), run)


def _looks_like_a_path(key: str, value: str) -> bool:
    named = key.rpartition(".")[2] in PATHS
    return named or "/" in value or "\\" in value or value.startswith(("~", "..")) or (key in CODE and "." in value)


def _is_inside(path: Path, run: Path) -> bool:
    return path.expanduser().resolve().is_relative_to(run.resolve())


def refuse_untrusted(
    run: Path, settings: Mapping[str, Any], is_typed: Callable[[str, Any], bool] | None = None
) -> None:
    """Raise ZooError for settings of a run that are a risk, unless the run is the user's own or they are typed.

    settings: what is used. is_typed: whether the user has typed this value of a key; None for a command that has no
    such settings.
    """
    risks = {k: value for k, value in find_risks(settings, run).items() if not (is_typed and is_typed(k, value))}
    if risks and is_own(run):
        signed = find_risks(read_settings(run / CONFIG), run)
        risks = {key: value for key, value in risks.items() if str(signed.get(key)) != str(value)}
    if risks:
        again = f", or type again what you want to use: {' '.join(retyped(settings, risks))}" if is_typed else ""
        raise ZooError(
            f"{run} is not signed as your own run, and its settings would run code, start processes or leave the "
            f"folder: {joined(f'{key}={value}' for key, value in risks.items())}. If you trust its maker, type "
            f"trust=true{again}"
        )


def retyped(settings: Mapping[str, Any], risks: Mapping[str, Any]) -> list[str]:
    """Overrides that type settings again, after those that choose the data set and the model they belong to."""
    groups = dict.fromkeys(key.partition(".")[0] for key in risks if key not in HARMLESS)
    chosen = [f"{group}={settings[group]['name']}" for group in groups if group in ("data", "model")]
    return [*chosen, *(f"{key}={_quote(value)}" for key, value in risks.items())]


def _quote(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_quote, value))}]"
    text = str(value)
    return (
        text if all(letter.isalnum() or letter in "_./-:" for letter in text) else "'" + text.replace("'", "\\'") + "'"
    )
