"""In which order Go writes the members of each structure of a pod template (disaggregatedset appendix A).

The order is that of the declarations in k8s.io/api 0.36 and in the LeaderWorkerSet API; the revision of a
DisaggregatedSet is a hash over these bytes, so the table is part of the contract. Structures are named by their Go
types, as in `lws.api.schemas`. A member marked ``!`` is always written, one marked ``*`` whenever it is present, even
as 0, false or an empty string; one with both is null when it is absent. Any other is left out when it is empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ORDER: Final[Mapping[str, str]] = {
    "AWSElasticBlockStoreVolumeSource": "volumeID! fsType partition readOnly",
    "Affinity": "nodeAffinity podAffinity podAntiAffinity",
    "AppArmorProfile": "type! localhostProfile*",
    "AzureDiskVolumeSource": "diskName! diskURI! cachingMode* fsType* readOnly* kind*",
    "AzureFileVolumeSource": "secretName! shareName! readOnly",
    "CSIVolumeSource": "driver! readOnly* fsType* volumeAttributes nodePublishSecretRef",
    "Capabilities": "add drop",
    "CephFSVolumeSource": "monitors! path user secretFile secretRef readOnly",
    "CinderVolumeSource": "volumeID! fsType readOnly secretRef",
    "ClusterTrustBundleProjection": "name* signerName* labelSelector optional* path!",
    "ConfigMapEnvSource": "name optional*",
    "ConfigMapKeySelector": "name key! optional*",
    "ConfigMapProjection": "name items optional*",
    "ConfigMapVolumeSource": "name items defaultMode* optional*",
    "Container": (
        "name! image command args workingDir ports envFrom env resources! resizePolicy restartPolicy* "
        "restartPolicyRules volumeMounts volumeDevices livenessProbe readinessProbe startupProbe lifecycle "
        "terminationMessagePath terminationMessagePolicy imagePullPolicy securityContext stdin stdinOnce tty"
    ),
    "ContainerPort": "name hostPort containerPort! protocol hostIP",
    "ContainerResizePolicy": "resourceName! restartPolicy!",
    "ContainerRestartRule": "action exitCodes",
    "ContainerRestartRuleOnExitCodes": "operator values",
    "DownwardAPIProjection": "items",
    "DownwardAPIVolumeFile": "path! fieldRef resourceFieldRef mode*",
    "DownwardAPIVolumeSource": "items defaultMode*",
    "EmptyDirVolumeSource": "medium sizeLimit",
    "EnvFromSource": "prefix configMapRef secretRef",
    "EnvVar": "name! value valueFrom",
    "EnvVarSource": "fieldRef resourceFieldRef configMapKeyRef secretKeyRef fileKeyRef",
    "EphemeralContainer": (
        "name! image command args workingDir ports envFrom env resources! resizePolicy restartPolicy* "
        "restartPolicyRules volumeMounts volumeDevices livenessProbe readinessProbe startupProbe lifecycle "
        "terminationMessagePath terminationMessagePolicy imagePullPolicy securityContext stdin stdinOnce tty "
        "targetContainerName"
    ),
    "EphemeralVolumeSource": "volumeClaimTemplate",
    "ExecAction": "command",
    "FCVolumeSource": "targetWWNs lun* fsType readOnly wwids",
    "FileKeySelector": "volumeName! path! key! optional*",
    "FlexVolumeSource": "driver! fsType secretRef readOnly options",
    "FlockerVolumeSource": "datasetName datasetUUID",
    "GCEPersistentDiskVolumeSource": "pdName! fsType partition readOnly",
    "GRPCAction": "port! service!*",
    "GitRepoVolumeSource": "repository! revision directory",
    "GlusterfsVolumeSource": "endpoints! path! readOnly",
    "HTTPGetAction": "path port! host scheme httpHeaders",
    "HTTPHeader": "name! value!",
    "HostAlias": "ip! hostnames",
    "HostPathVolumeSource": "path! type*",
    "ISCSIVolumeSource": (
        "targetPortal! iqn! lun! iscsiInterface fsType readOnly portals chapAuthDiscovery chapAuthSession "
        "secretRef initiatorName*"
    ),
    "ImageVolumeSource": "reference pullPolicy",
    "KeyToPath": "key! path! mode*",
    "LabelSelector": "matchLabels matchExpressions",
    "LabelSelectorRequirement": "key! operator! values",
    "LeaderWorkerTemplate": (
        "leaderTemplate workerTemplate! size* restartPolicy maxGroupRestarts* subGroupPolicy "
        "volumeClaimTemplates persistentVolumeClaimRetentionPolicy"
    ),
    "Lifecycle": "postStart preStop stopSignal*",
    "LifecycleHandler": "exec httpGet tcpSocket sleep",
    "LocalObjectReference": "name",
    "ModifyVolumeStatus": "targetVolumeAttributesClassName status!",
    "NFSVolumeSource": "server! path! readOnly",
    "NodeAffinity": "requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution",
    "NodeSelector": "nodeSelectorTerms!",
    "NodeSelectorRequirement": "key! operator! values",
    "NodeSelectorTerm": "matchExpressions matchFields",
    "ObjectFieldSelector": "apiVersion fieldPath!",
    "ObjectMeta": "name namespace labels annotations finalizers",
    "PersistentVolumeClaim": "kind apiVersion metadata! spec! status!",
    "PersistentVolumeClaimCondition": "type! status! lastProbeTime! lastTransitionTime! reason message",
    "PersistentVolumeClaimSpec": (
        "accessModes selector resources! volumeName storageClassName* volumeMode* dataSource dataSourceRef "
        "volumeAttributesClassName*"
    ),
    "PersistentVolumeClaimStatus": (
        "phase accessModes capacity conditions allocatedResources allocatedResourceStatuses "
        "currentVolumeAttributesClassName* modifyVolumeStatus"
    ),
    "PersistentVolumeClaimTemplate": "metadata! spec!",
    "PersistentVolumeClaimVolumeSource": "claimName! readOnly",
    "PhotonPersistentDiskVolumeSource": "pdID! fsType",
    "PodAffinity": "requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution",
    "PodAffinityTerm": "labelSelector namespaces topologyKey! namespaceSelector matchLabelKeys mismatchLabelKeys",
    "PodAntiAffinity": "requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution",
    "PodCertificateProjection": (
        "signerName keyType maxExpirationSeconds* credentialBundlePath keyPath certificateChainPath userAnnotations"
    ),
    "PodDNSConfig": "nameservers searches options",
    "PodDNSConfigOption": "name value*",
    "PodOS": "name!",
    "PodReadinessGate": "conditionType!",
    "PodResourceClaim": "name! resourceClaimName* resourceClaimTemplateName*",
    "PodSchedulingGate": "name!",
    "PodSchedulingGroup": "podGroupName*",
    "PodSecurityContext": (
        "seLinuxOptions windowsOptions runAsUser* runAsGroup* runAsNonRoot* supplementalGroups "
        "supplementalGroupsPolicy* fsGroup* sysctls fsGroupChangePolicy* seccompProfile appArmorProfile "
        "seLinuxChangePolicy*"
    ),
    "PodSpec": (
        "volumes initContainers containers! ephemeralContainers restartPolicy terminationGracePeriodSeconds* "
        "activeDeadlineSeconds* dnsPolicy nodeSelector serviceAccountName serviceAccount "
        "automountServiceAccountToken* nodeName hostNetwork hostPID hostIPC shareProcessNamespace* securityContext "
        "imagePullSecrets hostname subdomain affinity schedulerName tolerations hostAliases priorityClassName "
        "priority* dnsConfig readinessGates runtimeClassName* enableServiceLinks* preemptionPolicy* overhead "
        "topologySpreadConstraints setHostnameAsFQDN* os hostUsers* schedulingGates resourceClaims resources "
        "hostnameOverride* schedulingGroup"
    ),
    "PodTemplateSpec": "metadata! spec!",
    "PortworxVolumeSource": "volumeID! fsType readOnly",
    "PreferredSchedulingTerm": "weight! preference!",
    "Probe": (
        "exec httpGet tcpSocket grpc initialDelaySeconds timeoutSeconds periodSeconds successThreshold "
        "failureThreshold terminationGracePeriodSeconds*"
    ),
    "ProjectedVolumeSource": "sources! defaultMode*",
    "QuobyteVolumeSource": "registry! volume! readOnly user group tenant",
    "RBDVolumeSource": "monitors! image! fsType pool user keyring secretRef readOnly",
    "ResourceClaim": "name! request",
    "ResourceFieldSelector": "containerName resource! divisor!",
    "ResourceRequirements": "limits requests claims",
    "SELinuxOptions": "user role type level",
    "ScaleIOVolumeSource": (
        "gateway! system! secretRef!* sslEnabled protectionDomain storagePool storageMode volumeName fsType readOnly"
    ),
    "SeccompProfile": "type! localhostProfile*",
    "SecretEnvSource": "name optional*",
    "SecretKeySelector": "name key! optional*",
    "SecretProjection": "name items optional*",
    "SecretVolumeSource": "secretName items defaultMode* optional*",
    "SecurityContext": (
        "capabilities privileged* seLinuxOptions windowsOptions runAsUser* runAsGroup* runAsNonRoot* "
        "readOnlyRootFilesystem* allowPrivilegeEscalation* procMount* seccompProfile appArmorProfile"
    ),
    "ServiceAccountTokenProjection": "audience expirationSeconds* path!",
    "SleepAction": "seconds!",
    "StatefulSetPersistentVolumeClaimRetentionPolicy": "whenDeleted whenScaled",
    "StorageOSVolumeSource": "volumeName volumeNamespace fsType readOnly secretRef",
    "SubGroupPolicy": "subGroupPolicyType* subGroupSize*",
    "Sysctl": "name! value!",
    "TCPSocketAction": "port! host",
    "Toleration": "key operator value effect tolerationSeconds*",
    "TopologySpreadConstraint": (
        "maxSkew! topologyKey! whenUnsatisfiable! labelSelector minDomains* nodeAffinityPolicy* nodeTaintsPolicy* "
        "matchLabelKeys"
    ),
    "TypedLocalObjectReference": "apiGroup!* kind! name!",
    "TypedObjectReference": "apiGroup!* kind! name! namespace*",
    "Volume": (
        "name! hostPath emptyDir gcePersistentDisk awsElasticBlockStore gitRepo secret nfs iscsi glusterfs "
        "persistentVolumeClaim rbd flexVolume cinder cephfs flocker downwardAPI fc azureFile configMap "
        "vsphereVolume quobyte azureDisk photonPersistentDisk projected portworxVolume scaleIO storageos csi "
        "ephemeral image"
    ),
    "VolumeDevice": "name! devicePath!",
    "VolumeMount": "name! readOnly recursiveReadOnly* mountPath! subPath mountPropagation* subPathExpr",
    "VolumeProjection": "secret downwardAPI configMap serviceAccountToken clusterTrustBundle podCertificate",
    "VolumeResourceRequirements": "limits requests",
    "VsphereVirtualDiskVolumeSource": "volumePath! fsType storagePolicyName storagePolicyID",
    "WeightedPodAffinityTerm": "weight! podAffinityTerm!",
    "WindowsSecurityContextOptions": "gmsaCredentialSpecName* gmsaCredentialSpec* runAsUserName* hostProcess*",
}
