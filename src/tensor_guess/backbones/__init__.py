"""Pretrained networks by name, address or file.

In: `inception_v3`, a TF Hub handle, a graph. Out: a frozen graph from images to bottlenecks, kept
on this machine. With `sharing`, the only folder that imports TensorFlow.
"""
