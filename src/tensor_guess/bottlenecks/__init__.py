"""Images, made into rows of numbers.

In: a dataset and a backbone. Out: one row for each image, from the cache or computed.
"""
