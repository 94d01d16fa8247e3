"""Frozen graphs: read, checked, rewritten, run.

In: a GraphDef's bytes, ours or another program's. Out: a classifier whose every tensor has a known
shape, and float32 vectors for images.
"""
