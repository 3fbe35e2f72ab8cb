{{- define "causeway.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Objects of the whole cluster: two releases of one name in two namespaces must not meet. */}}
{{- define "causeway.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "causeway.fullname" .) -}}
{{- end -}}

{{/* Never change these: a Deployment's selector is immutable. */}}
{{- define "causeway.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "causeway.labels" -}}
{{ include "causeway.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: causeway
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "causeway.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "causeway.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* Of a dict with root and image. */}}
{{- define "causeway.image" -}}
{{- $name := .image.repository -}}
{{- with .root.Values.image.registry -}}
{{- $name = printf "%s/%s" (trimSuffix "/" .) $name -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* What cannot be said by the schema, or is said better here. */}}
{{- define "causeway.check" -}}
{{- if not .Values.sites -}}
{{- fail "sites is required: the names from BrokerNetwork.spec.sites that this cluster runs" -}}
{{- end -}}
{{- if and (has "*" .Values.sites) (gt (len .Values.sites) 1) -}}
{{- fail "sites: \"*\" is every site and stands alone" -}}
{{- end -}}
{{- if has "*" .Values.watchNamespaces -}}
{{- if gt (len .Values.watchNamespaces) 1 -}}
{{- fail "watchNamespaces: \"*\" is every namespace and stands alone" -}}
{{- end -}}
{{- if ne .Values.rbac.scope "cluster" -}}
{{- fail "watchNamespaces [\"*\"] needs rbac.scope cluster" -}}
{{- end -}}
{{- end -}}
{{- if and (not .Values.leaderElection.enabled) (gt (int .Values.replicas) 1) -}}
{{- fail "replicas above 1 needs leaderElection.enabled" -}}
{{- end -}}
{{- end -}}
