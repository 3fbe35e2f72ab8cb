{{/* What the operator may do in a namespace with networks. docs/install.md says why. */}}
{{- define "causeway.rules" -}}
- apiGroups: [causeway.dev]
  resources: [brokernetworks, brokerusers]
  verbs: [list, watch]
- apiGroups: [causeway.dev]
  resources: [brokernetworks/status, brokerusers/status]
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, serviceaccounts, secrets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
{{ include "causeway.ownRules" . }}
{{- if .Values.certManager.enabled }}
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
{{- end -}}

{{/* What it needs where it runs itself, even when the networks are elsewhere. */}}
{{- define "causeway.ownRules" -}}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, patch]
{{- end -}}

{{/* A Role with its binding: dict of root, namespace, rules. */}}
{{- define "causeway.role" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ include "causeway.fullname" .root }}
  namespace: {{ .namespace }}
  labels:
    {{- include "causeway.labels" .root | nindent 4 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ include "causeway.fullname" .root }}
  namespace: {{ .namespace }}
  labels:
    {{- include "causeway.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "causeway.fullname" .root }}
subjects:
  - kind: ServiceAccount
    name: {{ include "causeway.serviceAccount" .root }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}
