"""Hand a classifier on.

In: a classifier. Out: a zip with its model card and self-test. In: such zips. Out: one classifier.
"""
