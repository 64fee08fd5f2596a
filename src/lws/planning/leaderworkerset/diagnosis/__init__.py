"""Why a LeaderWorkerSet is not as wanted, in words (resilience 4). Pure: facts in, findings out.

`kubectl lws` and the controller share it. `facts` is what was read, `diagnose` judges it, `words` folds what is equal
and keeps it short.
"""
