"""Names on the wire: of the API, of what the operator applies, and of what it leaves behind (operator 2, 3.3, 5.6)."""

from __future__ import annotations

from typing import Final

GROUP: Final = "operator.openshift.io"
VERSION: Final = "v1"
KIND: Final = "LeaderWorkerSetOperator"
API_VERSION: Final = f"{GROUP}/{VERSION}"
PLURAL: Final = "leaderworkersetoperators"
SINGLETON: Final = "cluster"

FIELD_MANAGER: Final = "lws-operator"
STATUS_MANAGER: Final = "lws-operator-status"
FORMER_MANAGERS: Final = ("lws-operator", "openshift-lws-operator")  # of the reference, by Update
EVENT_COMPONENT: Final = "openshift-lws-operator"
LOGGING_COMPONENT: Final = "openshift-lws-operator-loggingsyncer"
OPERATOR_DEPLOYMENT: Final = "openshift-lws-operator"
OPERATOR_NAMESPACE: Final = "openshift-lws-operator"
OPERATOR_LEASE: Final = "openshift-lws-operator-lock"
OPERATOR_IDENTITY: Final = "lws-operator/"  # begins the identity of every holder that is ours
OPERAND_LEASE: Final = "b8b2488c.x-k8s.io"

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY_VALUE: Final = "lws-operator"
LABELS: Final = {"app.kubernetes.io/name": "lws", "app.kubernetes.io/instance": "lws"}  # L of the specification
CONTROL_PLANE: Final = "control-plane"
CONTROL_PLANE_VALUE: Final = "controller-manager"
POD_LABELS: Final = {**LABELS, CONTROL_PLANE: CONTROL_PLANE_VALUE}
KEEP: Final = "helm.sh/resource-policy"
INJECT_CA: Final = "cert-manager.io/inject-ca-from"
CERTIFICATE_NAME: Final = "cert-manager.io/certificate-name"
CONFIG_HASH: Final = "operator.lws.x-k8s.io/configuration-sha256"
SECRET_NAME: Final = "operator.lws.x-k8s.io/webhook-secret"  # noqa: S105 -- an annotation

DEPLOYMENT: Final = "lws-controller-manager"
SERVICE_ACCOUNT: Final = "lws-controller-manager"
CONTAINER: Final = "manager"
CONFIG_MAP: Final = "lws-manager-config"
CONFIG_KEY: Final = "controller_manager_config.yaml"
MANAGER_ROLE: Final = "lws-manager-role"
MANAGER_BINDING: Final = "lws-manager-rolebinding"
WEBHOOK_SERVICE: Final = "lws-webhook-service"
METRICS_SERVICE: Final = "lws-controller-manager-metrics-service"
MUTATING: Final = "lws-mutating-webhook-configuration"
VALIDATING: Final = "lws-validating-webhook-configuration"
SETS_CRD: Final = "leaderworkersets.leaderworkerset.x-k8s.io"

ISSUER: Final = "lws-selfsigned-issuer"
AUTHORITY: Final = f"{ISSUER}-ca"  # certificate, Secret and issuer of the authority that we make
SERVING_CERTIFICATE: Final = "lws-serving-cert"
METRICS_CERTIFICATE: Final = "lws-metrics-cert"
SERVING_SECRET: Final = "webhook-server-cert"  # noqa: S105 -- names; these two are cert-manager's, the third is ours
METRICS_SECRET: Final = "metrics-server-cert"  # noqa: S105
OPERATOR_METRICS_SECRET: Final = "lws-operator-metrics-cert"  # noqa: S105
OPERATOR_METRICS_SERVICE: Final = "lws-operator-metrics-service"
INTERNAL_SECRET: Final = "lws-webhook-server-cert"  # noqa: S105

# What the reference makes and we do not: `(kind, name)`.
LEFTOVERS: Final = (
    ("ClusterRoleBinding", "lws-proxy-rolebinding"),
    ("ClusterRole", "lws-proxy-role"),
    ("ClusterRoleBinding", "lws-metrics-reader-rolebinding"),
)
