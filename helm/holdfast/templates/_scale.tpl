{{/* How many pods: a number, or nothing where the autoscaler alone says it. */}}

{{/*
Where an autoscaler is, no manifest says a number, or each upgrade would undo what it did. But a manifest that does not say what the one before
said means 1 to Helm: so once a release has had a number, it is told the number that runs.
*/}}
{{- define "holdfast.replicas" -}}
{{- if not .Values.autoscaling.enabled -}}
{{- .Values.replicas -}}
{{- else -}}
{{- $name := include "holdfast.fullname" . -}}
{{- $running := lookup "apps/v1" "Deployment" .Release.Namespace $name | default dict -}}
{{- if $running -}}
{{- $written := eq (dig "metadata" "annotations" "holdfast/replicas" "" $running) "written" -}}
{{- if or $written (empty (lookup "autoscaling/v2" "HorizontalPodAutoscaler" .Release.Namespace $name)) -}}
{{- max (dig "spec" "replicas" 1 $running | int) (int .Values.autoscaling.minReplicas) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
