"""Convert checkpoints of the original release, which are pickles of whole modules, without running code in them.

Sizes come from the tensors, the training settings from the options in the file. Two differences are translated: a bias
before batch norm, which only shifts the running mean, and the convolution of two concatenated inputs, which is the sum
of two convolutions here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from zoo.blocks.skip_autoencoder import FramePlan
from zoo.errors import ZooError, joined, suggest
from zoo.io.pickled_modules import LAYERS, state_of_module
from zoo.io.safe_load import PickledObject, read_tensors
from zoo.models.svg.config import SVGConfig
from zoo.types import ClipSpec

if TYPE_CHECKING:
    from zoo.models.svg.model import SVG

States = Mapping[str, Mapping[str, Tensor]]
"""Network of the release -> its state dict."""

NETWORKS = ("encoder", "decoder", "frame_predictor", "posterior", "prior")
MODULES = frozenset(
    [
        *(f"models.{name}_{size}.{part}" for name in ("dcgan", "vgg") for size in (64, 128)
          for part in ("encoder", "decoder", f"{name}_conv", f"{name}_upconv", f"{name}_layer")),
        *(f"models.lstm.{name}" for name in ("lstm", "gaussian_lstm")),
        *(f"torch.optim.{name}" for name in ("adam.Adam", "rmsprop.RMSprop", "sgd.SGD")),
        *LAYERS,
        "argparse.Namespace",
    ]
)  # fmt: skip
"""What a released checkpoint mentions; none of it is imported."""
RECURRENT = {
    "embed": "stack.embed", "lstm": "stack.cells", "output.0": "output", "mu_net": "mean", "logvar_net": "log_variance",
}  # fmt: skip
"""Start of a key of a recurrent network in the release -> here."""
SETTINGS = ("fps", "norm_statistics")
"""Settings of `zoo.convert` that apply."""
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


class LayerNames(NamedTuple):
    """Names of a convolution, and of the batch norm behind it, in the release and here."""

    network: str
    released: str
    here: tuple[str, ...]
    """One convolution, or the two whose sum is that of the release: of the decoder's features, and of the skips."""

    released_norm: str | None = None
    norm: str | None = None


def convolution_names(plan: FramePlan) -> Iterator[LayerNames]:
    """Names of all layers of encoder and decoder."""
    stages, vgg = len(plan.channels), plan.backbone == "vgg"

    def normed(network: str, released: str, here: str, skip: str | None = None, main: str = "main.") -> LayerNames:
        names = (f"{here}.convolution", *([skip] if skip else []))
        return LayerNames(network, f"{released}.{main}0", names, f"{released}.{main}1", f"{here}.norm")

    for stage, layers in enumerate(plan.layers):
        for layer in range(layers):
            released = f"c{stage + 1}.{layer}" if vgg else f"c{stage + 1}"
            yield normed("encoder", released, f"encoder.stages.{stage}.{layer}")
    yield normed("encoder", f"c{stages + 1}", "encoder.head", main="")
    yield normed("decoder", "upc1", "decoder.first", main="")
    for number in range(stages):
        level = stages - 1 - number
        skip = f"skip_projection.levels.{level}"
        layers = plan.layers[level] if level else int(vgg)
        for layer in range(layers):
            released = f"upc{number + 2}.{layer}" if vgg else f"upc{number + 2}"
            yield normed("decoder", released, f"decoder.levels.{number}.{layer}", skip if layer == 0 else None)
    last = (f"upc{stages + 1}.1", ("decoder.last",)) if vgg else (f"upc{stages + 1}.0", ("decoder.last", skip))
    yield LayerNames("decoder", *last)


def translate(states: States, plan: FramePlan, model: SVG) -> dict[str, Tensor]:
    """The state dict of the model, from those of a release. Raises ZooError for unknown or missing tensors."""
    wanted = model.state_dict()
    remaining = {name: dict(state) for name, state in states.items()}
    found: dict[str, Tensor] = {}
    for layer in convolution_names(plan):
        state = remaining[layer.network]
        weight = _take(state, f"{layer.released}.weight", layer.network)
        bias = _take(state, f"{layer.released}.bias", layer.network)
        axis = input_axis(layer, wanted)
        sizes = [wanted[f"{name}.weight"].shape[axis] for name in layer.here]
        if sum(sizes) != weight.shape[axis]:
            raise ZooError(f"{layer.network}.{layer.released} has {weight.shape[axis]} inputs, expected {sum(sizes)}.")
        for name, part in zip(layer.here, torch.split(weight, sizes, axis), strict=True):
            found[f"{name}.weight"] = part
        if layer.norm is None:
            found[f"{layer.here[0]}.bias"] = bias
            continue
        for kind in ("weight", "bias", "running_mean", "running_var"):
            found[f"{layer.norm}.{kind}"] = _take(state, f"{layer.released_norm}.{kind}", layer.network)
        found[f"{layer.norm}.running_mean"] = found[f"{layer.norm}.running_mean"] - bias
        counter = f"{layer.norm}.num_batches_tracked"  # missing in files of torch 0.3
        found[counter] = state.pop(f"{layer.released_norm}.num_batches_tracked", wanted[counter])
    for network in NETWORKS[2:]:
        for key in list(remaining.get(network, ())):
            found[recurrent_name(network, key)] = remaining[network].pop(key)
    unknown = [f"{network}.{key}" for network, state in remaining.items() for key in state]
    mismatched = [key for key in wanted if key not in found or found[key].shape != wanted[key].shape]
    if unknown or mismatched or len(found) != len(wanted):
        others = [*unknown, *mismatched, *(key for key in found if key not in wanted)]
        raise ZooError(f"These tensors do not fit a network of SVG: {joined(others[:4])}.")
    return found


def recurrent_name(network: str, key: str) -> str:
    """Name of a parameter of a recurrent network of the release. Raises ZooError for an unknown one."""
    for released, here in RECURRENT.items():
        if key.startswith(f"{released}."):
            return f"{network.removeprefix('frame_')}.{here}{key.removeprefix(released)}"
    raise ZooError(f"{network}.{key} is not a tensor of SVG.")


def input_axis(layer: LayerNames, state: Mapping[str, Tensor]) -> int:
    """Axis of the inputs in the weight of a convolution: 1, or 0 if it is transposed, as most of the decoder's are."""
    if layer.network == "encoder":
        return 1
    transposed = layer.norm is None or layer.released == "upc1.0" or state[f"{layer.here[0]}.weight"].shape[-1] == 4
    return 0 if transposed else 1


def _take(state: dict[str, Tensor], key: str, network: str) -> Tensor:
    if key not in state:
        raise ZooError(f"The {network} has no tensor {key}.")
    return state.pop(key)


def describe(states: States) -> tuple[FramePlan, dict[str, Any]]:
    """Sizes of the networks of a release, as a plan and as settings of the model; norms as in training."""
    encoder, predictor, posterior = (states[name] for name in ("encoder", "frame_predictor", "posterior"))
    backbone = "vgg" if "c1.0.main.0.weight" in encoder else "dcgan"
    first = encoder["c1.0.main.0.weight" if backbone == "vgg" else "c1.main.0.weight"]
    stages = max(int(key[1 : key.index(".")]) for key in encoder) - 1
    head = encoder[f"c{stages + 1}.0.weight"]
    height, width = (side << stages for side in head.shape[2:])
    layers = {name: sum(key.endswith(".weight_ih") for key in states.get(name, ())) for name in NETWORKS}
    settings = {
        "preset": "paper",
        "backbone": backbone,
        "prior": "learned" if "prior" in states else "fixed",
        "width": len(first),
        "code": len(head),
        "latent": len(posterior["mu_net.weight"]),
        "hidden": len(predictor["embed.weight"]),
        "predictor_layers": layers["frame_predictor"],
        "posterior_layers": layers["posterior"],
        "prior_layers": layers["prior"] or 1,
    }
    return FramePlan(backbone, height, width, first.shape[1], len(first), len(head)), settings


def read_checkpoint(file: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """State dicts of the networks in a released checkpoint, and the options of its training.

    Raises ZooError for any other file.
    """
    hint = "Expected a file such as svglp_smmnist2.pth: a pickled dict of the modules encoder, decoder, …"
    if not file.is_file():
        raise ZooError(f"from={file} is not a file. {hint}")
    content = read_tensors(file, "a checkpoint of SVG's release", MODULES)
    if not isinstance(content, dict):
        raise ZooError(f"from={file} contains no dictionary. {hint}")
    networks = {name: content[name] for name in NETWORKS if isinstance(content.get(name), PickledObject)}
    missing = [name for name in NETWORKS[:-1] if name not in networks]
    if missing:
        raise ZooError(f"from={file} contains no module {joined(missing)}. {hint}")
    options = content.get("opt")
    states = {name: state_of_module(module, "SVG") for name, module in networks.items()}
    return states, dict(options) if isinstance(options, PickledObject) else {}


def convert(model_class: type[SVG], file: Path, settings: Mapping[str, Any]) -> SVG:
    """Build a model from a released checkpoint, a file.

    settings: ``fps``, and ``norm_statistics``: by default batch with a learned prior and running with a fixed one, as
    the release generates. Raises ZooError for other settings and other files.
    """
    for key in settings:
        if key not in SETTINGS:
            known = joined(SETTINGS)
            raise ZooError(f"{key}= does not apply to svg.{suggest(key, SETTINGS)} Settings that do: {known}.")
    states, options = read_checkpoint(file)
    plan, sizes = describe(states)
    config, spec = _configure(plan, sizes, options, settings)
    model = build_checked(model_class, config, spec, states, plan, file)
    return model.eval()


def build_checked(
    model_class: type[SVG], config: SVGConfig, spec: ClipSpec, states: States, plan: FramePlan, file: Path
) -> SVG:
    """Build the model of a release and load its weights; on the meta device first, so a wrong file costs no memory."""
    from zoo.runs.validate import build_on_meta

    translate(states, plan, build_on_meta(lambda: model_class(config, spec), file, states))
    model = model_class(config, spec)
    model.load_state_dict(translate(states, plan, model))
    return model


def _configure(
    plan: FramePlan, sizes: Mapping[str, Any], options: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[SVGConfig, ClipSpec]:
    """Config and form of the clips; options that are missing or no numbers are those of the published commands."""
    context, horizon = (_number(options, name, int, default) for name, default in (("n_past", 5), ("n_future", 10)))
    statistics = "batch" if sizes["prior"] == "learned" else "running"
    config = SVGConfig(
        **sizes,
        context=max(context, 1),
        skips="previous" if options.get("last_frame_skip") is True else "second_to_last",
        norm_statistics=str(settings.get("norm_statistics", statistics)),
        beta=_number(options, "beta", float, SVGConfig.beta),
        lr=_number(options, "lr", float, SVGConfig.lr),
        beta1=_number(options, "beta1", float, SVGConfig.beta1),
    )
    fps = settings.get("fps", DEFAULT_FPS)
    if not isinstance(fps, int | float) or isinstance(fps, bool) or fps <= 0:
        raise ZooError(f"fps={fps} is not a positive number. Try: fps={DEFAULT_FPS:g}")
    spec = ClipSpec(
        ("video",),
        frames=config.context + max(horizon, 1),
        height=plan.height,
        width=plan.width,
        fps=float(fps),
        channels=plan.image_channels,
    )
    return config, spec


DEFAULT_FPS = 10.0
"""Frame rate of a converted model: digits have no time, so any will do."""


def _number(options: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    value = options.get(name)
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    return kind(value) if fits else default


def released_values(layer: LayerNames, values: Mapping[str, Tensor]) -> Tensor:
    """Weight of a layer of the release, joined from those of the convolutions here."""
    return torch.cat([values[f"{name}.weight"] for name in layer.here], input_axis(layer, values))
