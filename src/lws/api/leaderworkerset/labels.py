"""The label and annotation keys of the wire contract (spec 1.2, 1.3)."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "leaderworkerset.sigs.k8s.io/"
EXTENSION: Final = "ext." + PREFIX  # annotations of ours (resilience 1)

# Labels.
NAME: Final = PREFIX + "name"
REVISION: Final = PREFIX + "template-revision-hash"
WORKER_INDEX: Final = PREFIX + "worker-index"
GROUP_INDEX: Final = PREFIX + "group-index"
GROUP_KEY: Final = PREFIX + "group-key"
SUBGROUP_INDEX: Final = PREFIX + "subgroup-index"
SUBGROUP_KEY: Final = PREFIX + "subgroup-key"
LEVEL: Final = PREFIX + "scheduling-level"
ROLE: Final = PREFIX + "role"  # of leader objects and worker StatefulSets, not of pods

HOSTNAME: Final = "kubernetes.io/hostname"  # of nodes

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
GROUP_RESTART_COUNTS: Final = PREFIX + "group-restart-counts"
RESTART_BUDGET_EXHAUSTED: Final = PREFIX + "group-restart-budget-exhausted"
SCHEDULING_LEVEL: Final = PREFIX + "workload-aware-scheduling"
WORKLOAD_NAME: Final = PREFIX + "workload-name"
RECOVER: Final = PREFIX + "recover"
RESTART_CHARGED: Final = EXTENSION + "group-restart-charged"  # ours (ND-25)
GROUP_IDENTITY: Final = PREFIX + "group-identity"
LEADER_ADDRESS: Final = PREFIX + "leader-address"
DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
POD_GROUP_NAME: Final = "scheduling.k8s.io/group-name"
GROUP_TEMPLATE_NAME: Final = "scheduling.k8s.io/group-template-name"  # a parent's controller sets it (next 7.8)
PARENT_POD_GROUP: Final = "scheduling.k8s.io/parent-compositepodgroup"
QUEUE_NAME: Final = "scheduling.volcano.sh/queue-name"
VOLCANO_PREFIX: Final = "volcano.sh/"
KUEUE_QUEUE: Final = "kueue.x-k8s.io/queue-name"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

# Finalizers.
RESTART_BUDGET_CLEANUP: Final = PREFIX + "group-restart-budget-cleanup"

# Environment variables (spec 4.7) and their leader's worker index.
ENV_LEADER_ADDRESS: Final = "LWS_LEADER_ADDRESS"
ENV_GROUP_SIZE: Final = "LWS_GROUP_SIZE"
ENV_WORKER_INDEX: Final = "LWS_WORKER_INDEX"
LEADER_INDEX: Final = "0"

# Groups known by a key (next 3, 4).
GROUP_READY: Final = PREFIX + "group-ready"  # readiness gate and condition of leader pods
REPLACEMENT_GATE: Final = PREFIX + "group-replacement"  # scheduling gate of leader pods
GATED_COST: Final = "-100"  # the deletion cost of a leader that has not been admitted
ROLE_LEADER: Final = "leader"
ROLE_WORKER: Final = "worker"

FIELD_MANAGER: Final = "lws"
TPU_RESOURCE: Final = "google.com/tpu"
