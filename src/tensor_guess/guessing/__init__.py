"""A classifier in use.

In: a classifier and pictures. Out: labels with scores; or copies of the pictures, named by them,
and a manifest; or, of labelled pictures, how good the classifier is.
"""
