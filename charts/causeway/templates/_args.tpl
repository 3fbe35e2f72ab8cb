{{- define "causeway.args" -}}
- operator
{{- /* The kubelet puts the namespace of the pod in. */}}
- --namespaces={{ .Values.watchNamespaces | default (list "$(POD_NAMESPACE)") | uniq | join "," }}
- --broker-image={{ include "causeway.image" (dict "root" . "image" .Values.broker.image) }}
{{- if ne .Values.image.pullPolicy "IfNotPresent" }}
- --broker-pull-policy={{ .Values.image.pullPolicy }}
{{- end }}
{{- with .Values.imagePullSecrets }}
{{- $names := list }}
{{- range . }}
{{- $names = append $names .name }}
{{- end }}
- --broker-pull-secrets={{ join "," $names }}
{{- end }}
{{- if kindIs "invalid" .Values.broker.fsGroup }}
- --broker-fs-group=none
{{- else }}
- --broker-fs-group={{ int64 .Values.broker.fsGroup }}
{{- end }}
- {{ printf "--broker-resources=%s" (toJson .Values.broker.resources) | quote }}
{{- if .Values.leaderElection.enabled }}
- --leader-elect
- --lease-duration={{ .Values.leaderElection.leaseDuration }}
- --lease-renew={{ .Values.leaderElection.renewInterval }}
{{- else }}
- --leader-elect=false
{{- end }}
- --http=0.0.0.0:8080
- --log-format={{ .Values.logFormat }}
- --log-level={{ .Values.logLevel }}
{{- if .Values.certManager.enabled }}
- --cert-manager
{{- end }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end -}}
