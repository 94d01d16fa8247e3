"""Another program that uses our graph, as `label_image.py` did: nothing of ours is in it.

old_client.py GRAPH LABELS FED...: what `guess.sh` prints. FED is a JPEG, for DecodeJpeg/contents:0,
or an array (.npy), for Mul:0. LABELS: a file, or the tensor of the graph that has them.
"""

import sys

import numpy as np
import tensorflow.compat.v1 as tf

graph_path, labels_from, *fed = sys.argv[1:]
with tf.gfile.GFile(graph_path, "rb") as file:
    graph = tf.GraphDef.FromString(file.read())
with tf.Graph().as_default(), tf.Session() as session:
    tf.import_graph_def(graph, name="")
    if labels_from.endswith(":0"):
        labels = [each.decode() for each in session.run(labels_from)]
    else:
        labels = [line.rstrip() for line in tf.gfile.GFile(labels_from)]
    for path in fed:
        if path.endswith(".npy"):
            feed = {"Mul:0": np.load(path)}
        else:
            with open(path, "rb") as file:
                feed = {"DecodeJpeg/contents:0": file.read()}
        (scores,) = session.run("final_result:0", feed)
        print(f"{path}:")
        for i in scores.argsort()[::-1]:
            print("%s (score = %.5f)" % (labels[i], scores[i]))  # noqa: UP031  # as it is there
        print()
assert not any("tensor_guess" in name for name in sys.modules)
