# SPDX-License-Identifier: Apache-2.0
import dataclasses
import re
from pathlib import Path

import pytest

import mcu_ser.study
from mcu_ser.study import statistics
from mcu_ser.study.page import render_page
from mcu_ser.study.page_tables import duration
from mcu_ser.study.summary import summarise
from tests.html_page import Page, assert_offline
from tests.made_up_study import CHANCES, made_up_picture, made_up_study

ROWS = (
    ("ds_cnn 16", tuple(CHANCES), (1, 2, 3)),
    ("mobilenet15 0.25", ("speech_only", "fine_tuning"), (1,)),
)


@pytest.fixture(scope="module", autouse=True)
def few_draws():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "DRAWS", 300)
        yield


@pytest.fixture(scope="module", name="html")
def html_of_a_study():
    return render_page(summarise(made_up_study(ROWS)))


def page_of(**changes):
    rows = changes.pop("rows", ROWS)
    return render_page(summarise(made_up_study(rows, **changes)))


def test_it_stands_alone(html):
    assert "://" not in html
    assert_offline(html)
    assert len(html.encode()) < 500_000


def test_it_opens_with_the_verdict(html):
    words = Page(html).text
    opening = words[words.index("ds_cnn 16:") :]
    assert opening.startswith("ds_cnn 16: NSL graph + fine-tuning is best on the chip (int8), UAR 0.7")


def test_tables_can_be_listened_to(html):
    page = Page(html)
    tables = page.all("table")
    assert len(tables) == len(page.all("caption")) >= 10
    assert all(attributes.get("scope") in {"col", "row", "rowgroup"} for attributes in page.all("th"))
    # A table that is wider than a phone scrolls, by keyboard too, and says what it is.
    regions = [attributes for attributes in page.all("div") if attributes.get("class") == "scroll"]
    assert len(regions) == len(tables)
    assert all((each["role"], each["tabindex"]) == ("region", "0") for each in regions)
    assert all(each["aria-label"] for each in regions)
    assert len({each["aria-label"] for each in regions}) == len(regions)


def test_rows_are_as_wide_as_their_heading(html):
    for table in re.findall(r"<table.*?</table>", html, re.S):
        widths = set()
        for row in re.findall(r"<tr.*?</tr>", table, re.S):
            spans = re.findall(r"<t[hd]([^>]*)>", row)
            widths.add(sum(int((re.findall(r'colspan="(\d+)"', span) or [1])[0]) for span in spans))
        assert len(widths) == 1, table[:200]


def test_charts_have_a_title_and_a_description(html):
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    charts = [attributes for attributes in page.all("svg") if attributes.get("class") == "chart"]
    assert len(charts) == 4
    for chart in charts:
        assert chart["role"] == "img"
        assert set(chart["aria-labelledby"].split()) <= set(ids)
    decorations = [attributes for attributes in page.all("svg") if "class" not in attributes]
    assert decorations
    assert all(attributes["aria-hidden"] == "true" for attributes in decorations)
    for attributes in page.all("section"):
        assert attributes.get("aria-label") or attributes["aria-labelledby"] in ids


def test_it_says_what_language_it_is_and_fits_a_phone(html):
    page = Page(html)
    assert page.all("html")[0]["lang"] == "en"
    viewport = next(a["content"] for a in page.all("meta") if a.get("name") == "viewport")
    assert viewport == "width=device-width, initial-scale=1"
    assert len(page.all("h1")) == len(page.all("main")) == 1


def test_every_figure_is_there(html):
    study = made_up_study(ROWS)
    document = summarise(study).document
    words = "".join(Page(html).words)
    for result in document["results"]:
        for stage in result["stages"].values():
            for uar in (stage["uar"], *stage["uar_by_seed"]):
                assert f"{uar:.3f}" in words
        assert f"{result['tflite_bytes']:,}" in words
    assert words.count("no difference shown") == sum(
        not each["significant"] for each in document["comparisons"]
    )
    for text in (
        *(study.command, study.hardware, "1 h 30 min", "tensorflow", "2.21.0", study.corpora["source"]),
        *(study.recipe, *(document["method"][part] for part in ("test", "training_test", "interval"))),
    ):
        assert text in words


def test_what_a_difference_lacks_is_said_in_the_table_and_in_words():
    words = "".join(Page(page_of(rows=(("ds_cnn 16", tuple(CHANCES), (1,)),))).words)
    reason = ", but 5 trainings of each cannot tell an approach from its luck"
    assert f"perhaps better{reason}" in words
    assert f"significant{reason}." in words
    assert "holds zero" not in words


def test_names_of_users_are_text():
    labels = ("<b>anger</b>", "a&b", *made_up_study(ROWS).labels[2:])
    html = page_of(labels=labels, recipe="# </pre><script>", picture_caption='"<i>"')
    Page(html)
    assert "<b>" not in html
    assert "<script" not in html
    assert "&lt;b&gt;anger&lt;/b&gt;" in html


def test_without_graph():
    html = page_of(rows=(("m", ("speech_only", "fine_tuning"), (1,)),), picture=None)
    Page(html)
    assert "homophily" not in html.lower().replace("--", "")
    assert "What the graph sees" not in html
    assert "Nothing was left to choose" in html


def test_one_approach_and_one_speaker():
    html = page_of(rows=(("m", ("nsl",), (1,)),), groups=(("12",),))
    Page(html)
    assert "Nothing was compared" in html
    assert "there is nothing to compare" in html


def test_pairs_without_a_common_seed_are_told():
    html = page_of(rows=(("m", ("speech_only",), (1,)), ("m", ("nsl",), (2,))))
    assert "Not compared for want of a common seed: m, NSL graph against speech only, int8." in html


def test_a_large_graph_does_not_make_a_large_page():
    picture = made_up_picture(7, points=1700)
    picture["edges"] = [[first, (first + step) % 1700] for first in range(1700) for step in range(1, 7)]
    html = page_of(picture=picture)
    assert len(html.encode()) < 500_000
    assert "1500 of the utterances are drawn. 4000 of the edges are drawn." in html
    assert "joined by the graph's 10200 edges" in html


def test_a_picture_of_nothing():
    Page(page_of(picture={"x": [], "y": [], "label": [], "edges": []}))
    Page(page_of(picture={"x": [0.0], "y": [0.0], "label": [0], "edges": []}))


def luminance(colour):
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def mixed(front, back, share):
    return "#" + "".join(
        f"{round(share * int(front[i : i + 2], 16) + (1 - share) * int(back[i : i + 2], 16)):02x}"
        for i in (1, 3, 5)
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme):
    """WCAG 2.1, AA: 4.5 for text, 3 for what a chart is made of."""
    css = (Path(mcu_ser.study.__file__).parent / "page.css.j2").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.S)
    colours = dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6})", blocks[["light", "dark"].index(scheme)]))
    for ground in ("page", "raised"):
        assert contrast(colours["text"], colours[ground]) >= 4.5
        assert contrast(colours["quiet"], colours[ground]) >= 4.5
        assert contrast(colours["accent"], colours[ground]) >= 4.5
    for kind in range(8):
        assert contrast(colours[f"k{kind}"], colours["page"]) >= 3
    darkest_cell = mixed(colours["accent"], colours["raised"], 0.45)
    assert contrast(colours["text"], darkest_cell) >= 4.5


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (5400, "1 h 30 min"), (3599, "59 min 59 s")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_the_page_depends_on_its_study_alone():
    study = made_up_study(ROWS)
    shuffled = dataclasses.replace(study, cells=study.cells[::-1])
    assert render_page(summarise(study)) == render_page(summarise(shuffled))
