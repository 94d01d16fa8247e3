"""Explain why a picture gets its label.

In: a classifier and a picture. Out: a PNG with its evidence, or a page of what changes the answer.
"""
