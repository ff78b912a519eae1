"""Published values of the named protocols, for comparison with runs but never among them. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.comparison.content import Column, PublishedRow, PublishedTable
from zoo.evaluation.named_protocols import NAMED_PROTOCOLS, NamedProtocol

UNCHECKED = "Unchecked values were taken down from memory, not read in the paper."


def _openstl(model: str, paper: str, epochs: int, mse: float, mae: float = 0, ssim: float = 0) -> PublishedRow:
    """A row of OpenSTL's benchmark; mae and ssim of 0 are not known."""
    values = {"mse_sum": mse, "mae_sum": mae, "ssim_range2": ssim}
    known = {metric: value for metric, value in values.items() if value}
    return PublishedRow("predrnn-mmnist", model, paper, known, "OpenSTL", f"{epochs} epochs")


ROWS = (
    PublishedRow(
        "srvp-smmnist",
        "SVG",
        "Denton and Fergus 2018",
        {"psnr_best": 14.50, "ssim_best": 0.7090},
        "Franceschi et al. 2020",
        checked=False,
    ),
    PublishedRow(
        "srvp-smmnist",
        "SRVP",
        "Franceschi et al. 2020",
        {"psnr_best": 16.93, "ssim_best": 0.7799},
        "Franceschi et al. 2020",
        checked=False,
    ),
    _openstl("ConvLSTM-S", "Shi et al. 2015", 200, 29.80, 90.64, 0.9288),
    _openstl("PredRNN", "Wang et al. 2017", 200, 23.97, 72.82, 0.9462),
    _openstl("PredRNN++", "Wang et al. 2018", 200, 22.06, 69.58, 0.9509),
    _openstl("PhyDNet", "Le Guen and Thome 2020", 200, 28.19, 78.64, 0.9374),
    _openstl("SimVP", "Gao et al. 2022", 200, 32.15, 89.05, 0.9268),
    _openstl("SimVP-gSTA", "Tan et al. 2022", 200, 26.69, 77.19, 0.9402),
    _openstl("TAU", "Tan et al. 2023", 200, 24.60, 71.93, 0.9454),
    _openstl("ConvLSTM-S", "Shi et al. 2015", 2000, 22.41),
    _openstl("PredRNN++", "Wang et al. 2018", 2000, 14.07),
    _openstl("SimVP-gSTA", "Tan et al. 2022", 2000, 15.05, 49.80, 0.9670),
    _openstl("TAU", "Tan et al. 2023", 2000, 15.69),
)
"""The published rows, in the order in which they are shown."""

REMARKS = {
    "svg-smmnist": "The paper has curves, and its release prints no number, so there is no row.",
    "srvp-smmnist": "Values stand in the paper's table on Stochastic Moving MNIST: best of 100 draws for each metric.",
    "predrnn-mmnist": "Values stand in model_zoos/video_benchmarks.md of OpenSTL's docs; errors are sums over a frame.",
}
"""Protocol -> what is to know about its rows. The protocols of this table are those that are shown."""


def published_tables(columns: Sequence[Column] | None = None) -> tuple[PublishedTable, ...]:
    """The published values on the data sets of some columns, protocol by protocol; None: all there are.

    A remark says under which protocol the columns were measured.
    """
    data = None if columns is None else {column.protocol["data"] for column in columns}
    names = dict.fromkeys(str(column.protocol.get("name", "")) for column in columns or ())
    return tuple(
        _table(NAMED_PROTOCOLS[name], () if columns is None else (_relation(NAMED_PROTOCOLS[name], list(names)),))
        for name in REMARKS
        if data is None or NAMED_PROTOCOLS[name].data in data
    )


def _table(named: NamedProtocol, remarks: tuple[str, ...]) -> PublishedTable:
    rows = tuple(row for row in ROWS if row.protocol == named.name)
    metrics = tuple(dict.fromkeys(metric for row in rows for metric in row.values))
    unchecked = () if all(row.checked for row in rows) else (UNCHECKED,)
    return PublishedTable(named.name, named.source, metrics, rows, (REMARKS[named.name], *unchecked, *remarks))


def _relation(named: NamedProtocol, measured: Sequence[str]) -> str:
    """Under which protocol runs were measured that stand above this table."""
    if named.name in measured:
        return "Runs above were measured under this protocol."
    others = [name for source in named.sources if (name := named.name + source.ending) in measured]
    if others:
        return f"Runs above were measured on other clips, {others[0]}: their values are not comparable with these."
    return f"No run above was measured under it. Type: python -m zoo.evaluate run=<run> protocol={named.name}"
