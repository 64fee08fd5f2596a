"""``kubectl lws ui``: a page on loopback that shows sets, groups, places and rollouts, live.

Informers keep small caches, a change in one names the sets that it concerns, and every view is a document: a pure
function of the caches, from keys to JSON. Browsers are sent what differs between two documents.

`kinds` and `caches` hold what is watched; `states`, `overview`, `details`, `places`, `fits` and `rollouts` make
documents; `board` keeps them up to date, `differences` compares them; `gate` says who may ask, `server` answers, at the
pace of `pacing`; `actions` and `nodeactions` write, and `foresight` says what would follow.
"""
