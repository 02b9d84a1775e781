"""Runs in the trackers that people already use: TensorBoard, Weights & Biases, MLflow, trackio.

Nothing here runs inside a training loop. A `Follower` reads the files that a run writes anyway and passes on
what is new, while the run goes or when it is over.
"""
