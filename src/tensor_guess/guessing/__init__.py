"""A classifier in use.

In: a classifier and pictures. Out: labels with scores; or, of labelled pictures, how good the
classifier is.
"""
