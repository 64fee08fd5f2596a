"""The LeaderWorkerSet API: types declared once, labels, defaults, validation, pod mutation, revisions."""
