# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys
from pathlib import Path

from tests.mobilenet_model import mobilenet_model

ROOT = Path(__file__).resolve().parents[3]

PROGRAM = """
import json, sys, time
from pathlib import Path
from mcu_ser.aot.compile import compile_model
file = Path(sys.argv[1]).read_bytes()
compile_model(file)
started = time.process_time()
model = compile_model(file)
taken = time.process_time() - started
print(json.dumps({"seconds": taken, "macs": model.macs, "tensorflow": "tensorflow" in sys.modules}))
"""


def test_a_mobilenet_compiles_within_a_second_and_without_tensorflow(tmp_path):
    path = tmp_path / "mobilenet.tflite"
    path.write_bytes(mobilenet_model())
    command = [sys.executable, "-c", PROGRAM, path]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, timeout=300)
    answer = json.loads(done.stdout)
    assert answer["macs"] > 7_000_000
    assert not answer["tensorflow"]
    # Processor time, of which other programs take nothing.
    assert answer["seconds"] < 1
