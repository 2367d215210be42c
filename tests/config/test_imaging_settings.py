"""The settings of the model, read in a separate process as at start-up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def start(tmp_path, **environment):
    program = "from config import settings; print(settings.IMAGING_PRECISION, settings.IMAGING_RUNTIME)"
    variables = {**os.environ, "VAR_DIR": str(tmp_path), **environment}
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=variables, capture_output=True, text=True)


def test_what_is_set_is_used(tmp_path):
    done = start(tmp_path, IMAGING_PRECISION="int8", IMAGING_RUNTIME="openvino")
    assert done.stdout.split() == ["int8", "openvino"]


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"IMAGING_PRECISION": "int4"}, "IMAGING_PRECISION must be one of auto, fp32, int8, got 'int4'"),
        ({"IMAGING_RUNTIME": "tensorrt"}, "IMAGING_RUNTIME must be one of auto, onnxruntime, openvino, mnn, got 'tensorrt'"),
        ({"IMAGING_PRECISION": "int8", "IMAGING_RUNTIME": "mnn"}, "IMAGING_PRECISION=int8 needs OpenVINO or onnxruntime"),
        ({"IMAGING_RUNTIME": "mnn", "IMAGING_DEVICE": "cuda"}, "IMAGING_DEVICE=cuda serves in fp32"),
        ({"IMAGING_PRECISION": "int8", "IMAGING_DEVICE": "cuda"}, "IMAGING_DEVICE=cuda serves in fp32"),
        ({"IMAGING_EXECUTOR": "threads"}, "IMAGING_EXECUTOR must be one of local, celery, got 'threads'"),
    ],
)
def test_nonsense_stops_the_start(tmp_path, environment, reason):
    done = start(tmp_path, **environment)
    assert done.returncode != 0
    assert reason in done.stderr
