"""Images, turned into rows of numbers.

In: a dataset and an extractor. Out: one row for each image, from the cache or computed.
"""
