"""How good a classifier is, as functions of rows and scores.

In: bottlenecks, scores and true categories. Out: accuracy with its interval, near copies, and what
model.json says of them.
"""
