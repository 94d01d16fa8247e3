"""A folder of pictures, turned into a classifier.
In: TF_FILES and options. Out: retrained_graph.pb, retrained_labels.txt and model.json, together.
"""
