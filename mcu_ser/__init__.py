# SPDX-License-Identifier: Apache-2.0
"""Speech-emotion models from corpora to a checked microcontroller.

Importing this package (or `mcu_ser.cli`) imports neither TensorFlow nor NumPy.
"""

__version__ = "0.1.0"
