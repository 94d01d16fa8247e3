"""A classifier, handed on.

In: a classifier. Out: a zip with its model card and self-test, or the model of another runtime,
whose scores were compared.
"""
