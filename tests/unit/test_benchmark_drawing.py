"""Names in the plots."""

import pytest

pytest.importorskip("hdrh", reason="the benchmarks' libraries are not installed")

from matplotlib.figure import Figure
from matplotlib.text import Annotation

from benchmarks.report.drawing import APART, name_ends


def test_names_of_curves_that_end_at_the_same_height_do_not_overlap() -> None:
    axes = Figure().subplots()
    axes.set_ylim(0, 100)
    name_ends(axes, 1, [(50, "b", "red"), (50, "a", "blue"), (90, "c", "black")])
    heights = {text.get_text(): text.xy[1] for text in axes.texts if isinstance(text, Annotation)}
    assert heights == {"a": 50, "b": 50 + 100 * APART, "c": 90}
