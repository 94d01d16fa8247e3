"""A folder of pictures, turned into a classifier.
In: TF_FILES and options. Out: retrained_graph.pb, retrained_labels.txt, model.json and
report.html, together.
"""
