"""Pretrained networks by name, address or file.

In: `inception_v3`, a TF Hub handle, or a graph. Out: a frozen graph from images to bottlenecks,
kept on this machine. Only this folder, `finetuning` and `exporting` import TensorFlow.
"""
