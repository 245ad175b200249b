# SPDX-License-Identifier: Apache-2.0
"""What the figures of a study mean, in words that stand in its report beside them."""

from __future__ import annotations

from typing import Any

from mcu_ser.study import statistics
from mcu_ser.study.comparisons import LEVEL

UAR = (
    "UAR is the mean of the recalls of the classes over the test utterances of all folds together, computed "
    "once per seed, never averaged over batches or folds. The table gives the mean over seeds."
)
INTERVAL = (
    "Intervals are 95 % percentile bootstrap intervals of the mean over seeds of the pooled UAR. "
    "Speakers are drawn with replacement, each with everything they said, and apart from them the "
    "seeds. They cover which speakers happened to be tested and the chance in training. In simulated "
    "studies of ten speakers in five folds with three seeds they held the truth in 95 to 99 of 100 "
    "cases; drawing speakers alone would hold it in 85 to 90. With one seed nothing but speakers can be "
    "drawn, and the interval is too narrow by that much. They do not cover the choice of corpora, "
    "recording room or language, nor that the models of different folds were trained partly on the same "
    "speakers."
)
TEST = (
    "Differences are tested by a paired randomisation test over speakers, two-sided. The statistic is "
    "the difference of the mean over seeds of the pooled UAR. The null hypothesis is that the two "
    "approaches are interchangeable: a speaker's decisions, all utterances and all seeds, could as well "
    "have come from the other approach. "
    f"Up to {statistics.ENUMERATED_UNITS} speakers all 2ⁿ ways of swapping speakers are counted, which "
    f"makes the test exact; for more, {statistics.SAMPLED_ASSIGNMENTS} random ones are. "
    "It assumes that speakers err independently of each other and are exchangeable under the null "
    "hypothesis. That is not strictly so: speakers of one fold share its models, and the models of "
    "different folds share training speakers. In simulated studies without a difference, of ten speakers "
    "in five folds, 4 to 6 of 100 had p ≤ 0.05 where the chance in training moves the UAR of a fold by up to "
    "3 points, and 7 to 9 where it moves it by 4. "
    "The smallest p that n speakers allow is 2/2ⁿ. Holm's correction "
    "is over all comparisons of one stage, those of all models together."
)

TRAINING_SHARE = (
    "The variance by training is the share of a difference's variance that is chance in training (two-way "
    "analysis of variance, speakers by seeds); the rest is who the speakers are. Where the first part is "
    "the larger one, more seeds narrow the interval most, else more speakers. With few of either the share "
    "is rough."
)

TRAINING_TEST = (
    "An approach is called better or worse only if the trainings agree, too. Speakers of a fold meet the "
    "same models, and the test over speakers takes the luck of these for agreement: in simulated studies "
    "without a difference, of 24 speakers in one fold with one seed, 21 to 48 of 100 had p ≤ 0.05 where the "
    "chance in training moves the UAR of a fold by 2 to 4 points. Hence the same test is made with trainings "
    "(a fold and a seed) in place of speakers, and has to have p ≤ 0.05 as well, which takes at least six "
    "trainings. With all three conditions no more than 5 of 100 studies were called better or worse, of 10 "
    "and 24 speakers, in one, three and five folds, with one to ten seeds."
)


def method() -> dict[str, Any]:
    """For study.json."""
    return {
        "uar": UAR,
        "interval": INTERVAL,
        "interval_draws": statistics.DRAWS,
        "test": TEST,
        "training_test": TRAINING_TEST,
        "training_share": TRAINING_SHARE,
        "seed": statistics.SEED,
        "level": LEVEL,
    }
