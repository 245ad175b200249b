# SPDX-License-Identifier: Apache-2.0
"""Two firmware projects of one model, side by side: what they take, how long they run, whether they agree."""
