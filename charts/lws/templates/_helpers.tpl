{{- define "lws.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Values that an older release or the reference's chart does not have come as nil with --reuse-values: every nested
value is read through parentheses and has its default here or where it is used. */ -}}

{{- /* The release's name if it contains the chart's, else both. Cut so that the longest name that is made from it,
that of the metrics Service, fits into 63 characters. */ -}}
{{- define "lws.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 28 | trimSuffix "-" }}
{{- end }}

{{- define "lws.webhookPort" -}}
{{- (.Values.service).port | default 9443 }}
{{- end }}

{{- define "lws.schedulerProvider" -}}
{{- (.Values.gangSchedulingManagement).schedulerProvider | default "" }}
{{- end }}

{{- define "lws.image" -}}
{{- $image := (.Values.image).manager }}
{{- printf "%s:%s" ($image.repository | default "image-not-set.invalid/lws-controller") ($image.tag | default .Chart.AppVersion) }}
{{- end }}

{{- define "lws.selectorLabels" -}}
control-plane: controller-manager
app.kubernetes.io/name: {{ include "lws.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "lws.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "lws.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "lws.serviceAccount" -}}
- kind: ServiceAccount
  name: {{ include "lws.fullname" . }}-controller-manager
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- /* A webhook's common members: dict "root" $ "path" … */ -}}
{{- define "lws.webhook" -}}
admissionReviewVersions: [v1]
clientConfig:
  service:
    name: lws-webhook-service
    namespace: {{ .root.Release.Namespace }}
    path: {{ .path }}
    port: 443
failurePolicy: Fail
matchPolicy: Equivalent
sideEffects: None
timeoutSeconds: 5
{{- end }}

{{- /* Rules with their values in place of @NAME@: dict "rules" … "values" … */ -}}
{{- define "lws.rules" -}}
{{- $rules := .rules }}
{{- range $name, $value := .values }}
{{- $rules = replace (printf "@%s@" $name) (toString $value) $rules }}
{{- end }}
{{- $rules }}
{{- end }}
