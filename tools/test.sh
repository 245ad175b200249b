#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up, then lint, types and tests.   bash tools/test.sh [PYTEST_ARGUMENT...]
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup.sh train,ann,wav2vec2,dev
.venv/bin/python -m ruff check
.venv/bin/python -m ruff format --check
.venv/bin/python -m mypy
exec .venv/bin/python -m pytest -n auto --dist loadscope "$@"
