"""Answer guesses over HTTP, for programs and for a browser.

In: a classifier, and requests with pictures. Out: their labels and scores.
"""
