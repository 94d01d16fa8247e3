"""Share a classifier, or export it for other runtimes.

In: a classifier. Out: a zip with its model card and self-test, or a model for another runtime whose
scores have been compared.
"""
