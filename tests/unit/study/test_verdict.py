# SPDX-License-Identifier: Apache-2.0
import pytest

from mcu_ser.study.verdict import p_value, points, points_interval, verdict


def result(approach, uar, steps=()):
    return {
        "model": "m",
        "approach": approach,
        "stages": {"int8": {"uar": uar, "interval": [uar - 0.05, uar + 0.05]}},
        "steps": list(steps),
    }


def comparison(first, second, difference, *, half=0.02, share=None, **figures):
    figures = {
        "p_holm": 0.5,
        "supported": False,
        "smallest_p": 0.002,
        "family": 1,
        "trainings": 15,
        "training_p": 0.001,
    } | figures
    return {
        "model": "m",
        "stage": "int8",
        "first": first,
        "second": second,
        "difference": difference,
        "interval": [difference - half, difference + half],
        "significant": figures["p_holm"] <= 0.05,
        "training_share": share,
        **figures,
    }


def said(results, comparisons, speakers=10):
    (found,) = verdict(results, comparisons, speakers)
    return found


def test_a_clear_winner():
    found = said(
        [result("speech_only", 0.6), result("nsl_fine_tuning", 0.7)],
        [comparison("nsl_fine_tuning", "speech_only", 0.1, p_holm=0.004, supported=True)],
    )
    assert found["approach"] == "nsl_fine_tuning"
    assert found["headline"] == (
        "m: NSL graph + fine-tuning is best on the chip (int8), UAR 0.700 (95 % interval 0.650 to 0.750)."
    )
    assert found["sentences"] == [
        "NSL graph + fine-tuning is better than speech only: +10.0 points of UAR (+8.0 to +12.0; "
        "p = 0.004 after Holm), significant."
    ]


def test_negative_results_are_said_plainly():
    found = said(
        [result("speech_only", 0.7), result("fine_tuning", 0.66), result("nsl", 0.6)],
        [
            comparison("fine_tuning", "speech_only", -0.04),
            comparison("nsl", "speech_only", -0.1, p_holm=0.01, supported=True),
            comparison("nsl", "fine_tuning", -0.06, p_holm=0.03, half=0.08),
        ],
    )
    assert found["approach"] == "speech_only"
    assert found["sentences"] == [
        "No other approach does better than speech only.",
        "NSL graph is worse than speech only: −10.0 points of UAR (−12.0 to −8.0; p = 0.010 after Holm), "
        "significant.",
        "NSL graph is perhaps worse than fine-tuning: −6.0 points of UAR (−14.0 to +2.0; p = 0.030 after "
        "Holm), significant, but the interval holds zero.",
    ]


def test_a_difference_that_may_be_chance():
    found = said(
        [result("speech_only", 0.6), result("fine_tuning", 0.62), result("frozen_features", 0.5)],
        [
            comparison("fine_tuning", "speech_only", 0.02),
            comparison("frozen_features", "speech_only", -0.1, p_holm=0.01, supported=True),
        ],
    )
    assert found["sentences"] == [
        "No difference is shown between fine-tuning and speech only: +2.0 points of UAR (0.0 to +4.0; "
        "p = 0.500 after Holm), not significant.",
        "It is the best of 3, picked by these same test speakers: its figure is a little too good.",
    ]


def test_too_few_speakers():
    found = said(
        [result("speech_only", 0.6), result("nsl", 0.9)],
        [comparison("nsl", "speech_only", 0.3, p_holm=0.125, smallest_p=0.125)],
        speakers=4,
    )
    assert found["sentences"][-1] == (
        "4 test speakers are too few for any difference to be significant: the smallest p that they allow is "
        "0.125 after Holm."
    )


def test_too_few_speakers_for_so_many_comparisons():
    # 7 speakers allow 2 / 2^7, and Holm multiplies the smallest of 6 by 6.
    figures = {"p_holm": 6 / 64, "smallest_p": 1 / 64}
    results = [result("speech_only", 0.4), result("nsl", 0.9)]
    sentences = said(results, [comparison("nsl", "speech_only", 0.5, family=6, **figures)], 7)["sentences"]
    assert sentences[-1].startswith("7 test speakers are too few")
    assert sentences[-1].endswith("allow is 0.094 after Holm.")
    assert (
        "too few"
        not in said(results, [comparison("nsl", "speech_only", 0.5, family=3, **figures)])["sentences"][-1]
    )


@pytest.mark.parametrize(
    ("trainings", "training_p", "reason"),
    [
        (1, 1.0, "1 training of each cannot tell an approach from its luck"),
        (5, 0.0625, "5 trainings of each cannot tell an approach from its luck"),
        (6, 0.0625, "the 6 trainings of each do not agree (p = 0.062 over trainings)"),
    ],
)
def test_trainings_that_do_not_agree_show_nothing(trainings, training_p, reason):
    found = said(
        [result("speech_only", 0.6), result("nsl", 0.7)],
        [comparison("nsl", "speech_only", 0.1, p_holm=0.004, trainings=trainings, training_p=training_p)],
    )
    assert found["sentences"] == [
        "NSL graph is perhaps better than speech only: +10.0 points of UAR (+8.0 to +12.0; p = 0.004 after "
        f"Holm), significant, but {reason}."
    ]


@pytest.mark.parametrize(
    ("share", "needed"), [(0.5, "more seeds"), (0.49, "more speakers rather than more seeds")]
)
def test_what_would_narrow_an_interval(share, needed):
    results = [result("speech_only", 0.6), result("nsl", 0.62)]
    found = said(results, [comparison("nsl", "speech_only", 0.02, share=share)])
    assert found["sentences"][1:] == [
        f"About {share:.0%} of the variance of that difference is chance in training: "
        f"{needed} would narrow its interval."
    ]
    shown = comparison("nsl", "speech_only", 0.02, p_holm=0.004, supported=True, share=share)
    assert len(said(results, [shown])["sentences"]) == 1


def test_one_approach():
    assert said([result("nsl", 0.6)], [])["sentences"] == [
        "It was trained in one way only: there is nothing to compare."
    ]


def test_the_loss_to_int8_and_what_training_in_int8_gains():
    steps = [
        {"from": "float", "to": "pruned", "difference": -0.004, "interval": [-0.01, 0.0]},
        {"from": "float", "to": "int8", "difference": -0.006, "interval": [-0.012, 0.001]},
        {"from": "post_training", "to": "int8", "difference": 0.01, "interval": None},
    ]
    assert said([result("nsl", 0.6, steps)], [])["sentences"][1:] == [
        "Pruning and int8 together change its UAR by −0.6 points (−1.2 to +0.1) against float.",
        "Training in int8 changes it by +1.0 points (no interval) against quantising after training.",
    ]


@pytest.mark.parametrize(
    ("difference", "text"),
    [(0.0123, "+1.2"), (-0.0123, "−1.2"), (0.0004, "0.0"), (-0.0004, "0.0"), (0, "0.0")],
)
def test_points(difference, text):
    assert points(difference) == text


def test_interval_in_points():
    assert points_interval([-0.01, 0.02]) == "−1.0 to +2.0"
    assert points_interval(None) == "no interval"


@pytest.mark.parametrize(
    ("p", "text"), [(1.0, "1.000"), (0.0234, "0.023"), (0.001, "0.001"), (0.0004, "4e−4"), (1e-5, "1e−5")]
)
def test_p_values(p, text):
    assert p_value(p) == text
