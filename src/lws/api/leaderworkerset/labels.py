"""The label and annotation keys of the wire contract (spec 1.2, 1.3)."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "leaderworkerset.sigs.k8s.io/"

# Labels.
NAME: Final = PREFIX + "name"
REVISION: Final = PREFIX + "template-revision-hash"
WORKER_INDEX: Final = PREFIX + "worker-index"
GROUP_INDEX: Final = PREFIX + "group-index"
GROUP_KEY: Final = PREFIX + "group-key"
SUBGROUP_INDEX: Final = PREFIX + "subgroup-index"
SUBGROUP_KEY: Final = PREFIX + "subgroup-key"

# Annotations.
EXCLUSIVE_TOPOLOGY: Final = PREFIX + "exclusive-topology"
SUBGROUP_EXCLUSIVE_TOPOLOGY: Final = PREFIX + "subgroup-exclusive-topology"
RECREATE_GROUP_AFTER_START: Final = PREFIX + "experimental-recreate-group-after-start"
REPLICAS: Final = PREFIX + "replicas"
SIZE: Final = PREFIX + "size"
LEADER_NAME: Final = PREFIX + "leader-name"
SUBGROUP_SIZE: Final = PREFIX + "subgroup-size"
SUBGROUP_POLICY_TYPE: Final = PREFIX + "subgroup-policy-type"
SUBDOMAIN_POLICY: Final = PREFIX + "subdomainPolicy"
LEADER_REQUESTS_TPUS: Final = PREFIX + "leader-requests-tpus"
POD_GROUP_NAME: Final = "scheduling.k8s.io/group-name"
QUEUE_NAME: Final = "scheduling.volcano.sh/queue-name"
VOLCANO_PREFIX: Final = "volcano.sh/"
KUEUE_QUEUE: Final = "kueue.x-k8s.io/queue-name"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

# Environment variables (spec 4.7) and their leader's worker index.
ENV_LEADER_ADDRESS: Final = "LWS_LEADER_ADDRESS"
ENV_GROUP_SIZE: Final = "LWS_GROUP_SIZE"
ENV_WORKER_INDEX: Final = "LWS_WORKER_INDEX"
LEADER_INDEX: Final = "0"

FIELD_MANAGER: Final = "lws"
TPU_RESOURCE: Final = "google.com/tpu"
