# SPDX-License-Identifier: Apache-2.0
import pytest

from mcu_ser import errors

EXIT_CODES = {
    "ConfigError": 2,
    "CorpusError": 2,
    "ModelError": 2,
    "SamplesError": 2,
    "CheckFailedError": 1,
    "BudgetError": 1,
    "BuildError": 1,
    "ToolMissingError": 3,
    "DeviceError": 4,
    "FlashError": 4,
    "LinkError": 4,
    "DeviceFaultError": 4,
    "MismatchError": 4,
}


def test_every_error_has_its_exit_code():
    classes = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.McuSerError) and name != "McuSerError"
    }
    assert {name: value.exit_code for name, value in classes.items()} == EXIT_CODES
    assert all(f"{name} " in errors.__doc__ for name in classes)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "nano: arena needs 71680 B"),
        ({"limit": "65536 B"}, "nano: arena needs 71680 B, limit 65536 B"),
        (
            {"limit": "65536 B", "hint": "width 0.75"},
            "nano: arena needs 71680 B, limit 65536 B; try: width 0.75",
        ),
        ({"hint": "width 0.75"}, "nano: arena needs 71680 B; try: width 0.75"),
    ],
)
def test_text_names_subject_value_limit_and_remedy(arguments, text):
    assert str(errors.BudgetError("nano", "arena needs 71680 B", **arguments)) == text
