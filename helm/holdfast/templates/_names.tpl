{{/* Names and labels. */}}

{{- define "holdfast.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "holdfast.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "holdfast.selectorLabels" -}}
app.kubernetes.io/name: {{ include "holdfast.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "holdfast.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "holdfast.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Labels of the pods in which the gateway runs. */}}
{{- define "holdfast.podSelector" -}}
{{- if eq .Values.mode "edge" -}}
{{ include "holdfast.selectorLabels" . }}
{{- else -}}
{{ toYaml .Values.sidecar.podLabels }}
{{- end }}
{{- end }}

{{- define "holdfast.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end }}
{{- end }}

{{- define "holdfast.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ include "holdfast.fullname" . }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{/* Empty where processes or Redis keep the secrets of nonces themselves. */}}
{{- define "holdfast.nonceSecret" -}}
{{- if .Values.nonce.existingSecret }}{{ .Values.nonce.existingSecret }}{{ else if .Values.nonce.generate }}{{ include "holdfast.fullname" . }}-nonce{{ end }}
{{- end }}

{{- define "holdfast.tlsSecret" -}}
{{- $tls := index .context.Values.tls .name -}}
{{- if $tls.secretName }}{{ $tls.secretName }}{{ else }}{{ include "holdfast.fullname" .context }}-tls-{{ .name }}{{ end }}
{{- end }}
