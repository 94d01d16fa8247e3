"""Frozen graphs: read, checked, rewritten, run.

In: the bytes of a GraphDef, ours or another program's. Out: a classifier in which the shape of
every tensor is known, and float32 vectors for images.
"""
