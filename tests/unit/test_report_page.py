# SPDX-License-Identifier: Apache-2.0
import copy
import re

import pytest

from mcu_ser.report.charts import Bar, bar_chart, histogram_chart
from mcu_ser.report.page import render_page
from mcu_ser.report.sections import MOST_CHARACTERS, MOST_CLASSES
from tests.html_page import Page, assert_offline
from tests.made_up_report import made_up_abort, made_up_report, made_up_trace

REPORTS = {
    "passing": made_up_trace(made_up_report()),
    "failing": made_up_trace(made_up_report(wrong=3), wrong=True),
    "aborted": made_up_abort(),
    "without labels": made_up_report(labelled=False, litert=False),
    "without background": made_up_report(background=None),
    "layers without time": made_up_trace(made_up_report(), profile=False),
}
PAGES = {name: render_page(report.document) for name, report in REPORTS.items()}


@pytest.fixture(params=PAGES, name="html")
def page_of_every_kind(request):
    return PAGES[request.param]


def test_it_stands_alone(html):
    assert "://" not in html.replace("socket://", "")
    assert_offline(html)
    assert len(html.encode()) < 100_000


def test_it_has_landmarks_and_headings_in_order(html):
    page = Page(html)
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("main")) == len(page.all("header")) == len(page.all("h1")) == 1
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for section in page.all("section"):
        assert section.get("aria-labelledby", ids[0]) in ids
        assert section.get("aria-label") or section.get("aria-labelledby")


def test_its_tables_can_be_listened_to(html):
    page = Page(html)
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(th.get("scope") in {"col", "row"} for th in page.all("th"))
    for region in page.all("div"):
        if region.get("class") == "scroll":
            assert (region["tabindex"], region["role"]) == ("0", "region")
            assert region["aria-label"]


def test_its_charts_say_in_words_what_they_show(html):
    page = Page(html)
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert page.all("svg")
    for svg in page.all("svg"):
        assert svg["role"] == "img"
        assert set(svg["aria-labelledby"].split()) <= ids
    assert sum("id" in title for title in page.all("title")) == len(page.all("svg"))


def test_it_is_the_same_every_time():
    assert render_page(REPORTS["passing"].document) == PAGES["passing"]


@pytest.mark.parametrize(
    ("name", "opening"),
    [
        ("passing", "pass all 90 outputs equal the oracle's byte for byte"),
        ("failing", "fail 3 of 90 outputs differ from the oracle's; first: utterance-000 layer 2, CONV_2D"),
        (
            "aborted",
            "fail socket://127.0.0.1:4: no answer (sample 41 of 90, last message INFER) The run did not",
        ),
    ],
)
def test_it_opens_with_the_verdict(name, opening):
    text = Page(PAGES[name]).text
    title = "Verify netduinoplus2, engine aot"
    assert text.partition(f"{title} ")[2].partition(f"{title} ")[2].startswith(opening)


def test_both_confusions_stand_side_by_side():
    tables = [a.get("aria-label") for a in Page(PAGES["failing"]).all("div") if a.get("class") == "scroll"]
    assert "Confusion of host (oracle), table" in tables
    assert "Confusion of device, table" in tables


def test_it_names_who_differs_and_how():
    text = Page(PAGES["failing"]).text
    assert "The first 3 of 3 samples that differ" in text
    mismatch = REPORTS["failing"].document["mismatches"][1]
    assert (mismatch["id"], mismatch["sample"]) == ("utterance-007", 7)
    assert mismatch["device_hex"] in text
    assert "likely: whole channels are scaled" in text
    assert "2 CONV_2D: differs" in text


def test_an_aborted_run_shows_no_figures_of_samples():
    text = Page(PAGES["aborted"]).text
    assert "equal to the oracle– of 90 samples" in text
    assert "no missing answer counts as a right one" in text
    assert "Who agrees with whom" not in text
    assert "UAR" not in text


def test_memory_over_the_budget_is_marked():
    document = copy.deepcopy(REPORTS["passing"].document)
    assert 'class="bad"' not in render_page(document)
    document["stack_high_water_bytes"] = 9000
    html = render_page(document)
    assert html.count('class="bad"') == 1
    assert "9,000 of 8,192 B (109.9 %), over the budget" in html


def test_what_others_wrote_is_text():
    document = copy.deepcopy(REPORTS["failing"].document)
    attack = '<script>alert("1")</script>'
    document |= {"reason": attack, "labels": [attack] * 6, "changed_files": [attack]}
    document["mismatches"][0]["id"] = attack
    document["layers"] |= {"problem": attack, "sample_id": attack}
    document["boards"] = [{"port": attack, "samples": 1, "repeats": 0, "ranges": "0", "lost": attack}]
    html = render_page(document)
    assert not Page(html).all("script")
    assert "<script" not in html


def test_what_others_decide_the_length_of_is_cut():
    document = copy.deepcopy(REPORTS["failing"].document)
    document["mismatches"] = [document["mismatches"][0] | {"id": "x" * 100_000}] * 20
    document["changed_files"] = [f"src/{index}.c" for index in range(10_000)]
    document["boards"] = [{"port": None, "samples": 1, "repeats": 0, "ranges": "1," * 9999, "lost": None}]
    html = render_page(document)
    assert len(html) < 100_000
    assert "x" * (MOST_CHARACTERS - 1) + "…" in html


def test_very_many_classes_leave_the_matrices_out():
    document = copy.deepcopy(REPORTS["passing"].document)
    classes = MOST_CLASSES + 400
    for who in ("host", "device", "litert"):
        document[who] |= {"confusion": [[1] * classes] * classes, "recalls": [0.5] * classes,
                          "recall_intervals": [[0.4, 0.6]] * classes}  # fmt: skip
    document["labels"] = None
    html = render_page(document)
    assert "too many classes" in html
    assert len(html) < 200_000


def test_bars_and_columns_stay_inside_of_the_chart():
    bars = bar_chart("x", "X", [Bar("a", "1", 0.0), Bar("b", "2", 1e-9), Bar("c", "3", 7.0)])
    assert [float(row.width) for row in bars.rows] == [0, 1.5, 472]
    columns = histogram_chart("T", "ticks", 10, 5, [1, 0, 4]).columns
    assert [column.title for column in columns] == [
        *("10 to 14 ticks: 1", "15 to 19 ticks: 0", "20 to 24 ticks: 4")
    ]
    assert [float(column.height) for column in columns] == [35, 0, 140]
    assert all(0 <= float(column.x) <= 480 for column in columns)


def test_no_number_of_a_page_is_unfinished(html):
    assert not re.search(r"None|nan|\binf\b|\d\.\d{7}", Page(html).text)


def test_it_says_what_the_firmware_ran_on():
    document = copy.deepcopy(REPORTS["passing"].document)
    assert "<dt>ran on</dt><dd>qemu, machine netduinoplus2</dd>" in render_page(document)
    document["boards"] = [
        {"port": port, "samples": 45, "repeats": 0, "ranges": "0-44", "lost": None}
        for port in ("COM3", "COM4")
    ]
    assert "<dt>ran on</dt><dd>COM3, COM4</dd>" in render_page(document)
    document |= {"board": "host", "boards": []}
    document["provenance"]["emulator"] = None
    assert "<dt>ran on</dt><dd>this computer, as a native program</dd>" in render_page(document)


def test_what_the_link_counted_is_said_in_words():
    document = copy.deepcopy(REPORTS["passing"].document)
    document["link"] |= {"payload_bytes": 64_070, "busy_fraction": 0.875, "of_the_future": 3}
    text = Page(render_page(document)).text
    assert "bytes of inputs and outputs64,070" in text
    assert "share of the time in which the line to the board was in use0.875" in text
    assert "of the future3" in text


def cells(first, *others):
    return f'<th scope="row">{first}</th>' + "".join(f"<td>{other}</td>" for other in others)


def test_zeros_that_are_left_out_are_told_as_predicted():
    text = Page(PAGES["passing"]).text
    assert "Instructions are predicted for a Cortex-M4 with DSP instructions, not measured." in text
    assert (
        cells("2 CONV_2D", "4,096", "75.0 %", "5,120", "2,560", "7,000,123", "3,500,456", "sparse")
        in PAGES["passing"]
    )
    assert "Weights that are zero" not in PAGES["without background"]


def test_a_core_without_dsp_instructions_has_no_predictions():
    document = copy.deepcopy(REPORTS["passing"].document)
    for form in ("dense", "sparse"):
        document["sparse_layers"][0][form]["predicted_instructions"] = None
    figures = ("2 CONV_2D", "4,096", "75.0 %", "5,120", "2,560", "–", "–", "sparse")
    assert cells(*figures) in render_page(document)
