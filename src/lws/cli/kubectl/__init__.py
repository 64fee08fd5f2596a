"""``kubectl lws``: looks at LeaderWorkerSets and steers their rollouts, on any cluster and beside any controller."""
