"""Measure how good a classifier is, by functions of rows and scores.

In: bottlenecks, scores and true categories. Out: accuracy with its interval, calibration, near
copies, suspicious labels, missing looks, the report, and what model.json says about them.
"""
