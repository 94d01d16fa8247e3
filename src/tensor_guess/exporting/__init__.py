"""Write a classifier for another runtime.

In: a classifier, and pictures. Out: a model whose scores were compared on them, in its own runtime.
"""
