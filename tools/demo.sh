#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job on one command: sets up, then trains, compresses, converts, builds and checks a speech-emotion
# model on an emulated STM32, with the built-in synthetic corpus.   bash tools/demo.sh [OUT]
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup.sh train
exec .venv/bin/python -m mcu_ser.cli.main run --recipe synthetic --board netduinoplus2 --engine aot --out "${1:-demo-run}"
