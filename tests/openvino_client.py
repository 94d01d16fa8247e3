"""Another program that uses our graph: OpenVINO, nothing of ours.

openvino_client.py GRAPH LABELS ARRAY...: what `guess.sh` prints; arrays (.npy) are for Mul:0.
"""

import sys
from pathlib import Path

import numpy as np
import openvino as ov
from openvino.frontend import FrontEndManager

graph_path, labels_path, *arrays = sys.argv[1:]
labels = Path(labels_path).read_text("utf-8").splitlines()
front_end = FrontEndManager().load_by_framework("tf")
graph = front_end.load(graph_path)
start = graph.get_place_by_tensor_name("Mul:0")
graph.override_all_inputs([start])
graph.override_all_outputs([graph.get_place_by_tensor_name("final_result:0")])
side = np.load(arrays[0]).shape[1]
graph.set_partial_shape(start, ov.PartialShape([-1, side, side, 3]))
# Its own precision is the CPU's, which may be bf16.
network = ov.compile_model(front_end.convert(graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
for path in arrays:
    (scores,) = network(np.load(path))[0]
    print(f"{path}:")
    for i in scores.argsort()[::-1]:
        print(f"{labels[i]} (score = {scores[i]:.5f})")
    print()
assert not any("tensor_guess" in name for name in sys.modules)
