"""What `kubectl lws` shows of DisaggregatedSets."""
