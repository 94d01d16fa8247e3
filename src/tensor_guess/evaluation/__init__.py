"""Measure how good a classifier is, by functions of rows and scores.

In: bottlenecks, scores and true categories. Out: accuracy with its interval, calibration, near
copies, groups of what is alike, suspicious labels, missing looks, what is like nothing in training,
two categories in one picture, and what model.json says about them.
"""
