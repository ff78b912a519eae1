"""Published values: what they say, and that they stand apart from what was measured."""

from dataclasses import replace

import pytest

from zoo.comparison.content import Column, Comparison
from zoo.comparison.published import REMARKS, ROWS, published_tables
from zoo.comparison.table import published_to_markdown, to_csv, to_markdown
from zoo.evaluation.catalogue import find_card
from zoo.evaluation.named_protocols import NAMED_PROTOCOLS


def column(name: str = "", data: str = "moving_mnist") -> Column:
    return Column("test/psnr@…", "max", {"data": data, "name": name})


def test_every_value_is_of_a_protocol_and_of_a_metric_that_it_measures():
    assert {row.protocol for row in ROWS} <= REMARKS.keys() <= NAMED_PROTOCOLS.keys()
    for row in ROWS:
        measured = NAMED_PROTOCOLS[row.protocol].settings
        several = "_best" if measured["draws"] > 1 else ""
        for metric in row.values:
            assert metric.endswith(several)
            assert find_card(metric).name in measured["metrics"]


def test_values_that_were_not_read_in_the_paper_are_marked():
    unchecked = {row.protocol for row in ROWS if not row.checked}
    assert unchecked == {"srvp-smmnist"}
    svg, srvp, openstl = published_tables()
    assert (svg.rows, srvp.metrics) == ((), ("psnr_best", "ssim_best"))
    assert "Unchecked values were taken down from memory, not read in the paper." in srvp.remarks
    assert not any("memory" in remark for remark in openstl.remarks)
    text = published_to_markdown((srvp, openstl))
    assert "| SVG | Denton and Fergus 2018 | 14.50 | 0.7090 | Franceschi et al. 2020 (unchecked) |" in text
    assert "| TAU, 2000 epochs | Tan et al. 2023 | 15.69 | – | – | OpenSTL |" in text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("srvp-smmnist", "Runs above were measured under this protocol."),
        ("srvp-smmnist-zoo-digits", "on other clips, srvp-smmnist-zoo-digits: their values are not comparable"),
        ("mine", "No run above was measured under it. Type: python -m zoo.evaluate run=<run> protocol=srvp-smmnist"),
        ("", "No run above was measured under it."),
    ],
)
def test_a_remark_says_how_the_runs_were_measured(name, said):
    table = next(each for each in published_tables([column(name)]) if each.protocol == "srvp-smmnist")
    assert said in table.remarks[-1]


def test_only_protocols_on_the_data_of_the_runs_are_shown():
    assert published_tables([column(data="puppets")]) == ()
    assert [each.protocol for each in published_tables([column()])] == list(REMARKS)


def test_published_values_are_no_rows_of_the_comparison():
    comparison = Comparison((), (column(),), ())
    with_published = replace(comparison, published=published_tables())
    assert to_markdown(with_published) == to_markdown(comparison)
    assert to_csv(with_published) == to_csv(comparison)
    assert published_to_markdown(()) == ""
