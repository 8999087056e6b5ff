{{/*
What the chart of an application includes to have the gateway in its pods. The context is the values of this chart as a dependency:
`.Subcharts.holdfast`. docs/kubernetes.md#as-a-sidecar has a whole Deployment.
*/}}

{{/* A list, for spec.initContainers: a native sidecar, which starts before the application and ends after it. */}}
{{- define "holdfast.sidecar.containers" -}}
- restartPolicy: Always
  {{- include "holdfast.container" . | nindent 2 }}
  # SIGTERM comes only when the application has ended: until then clients are told to connect elsewhere, and served.
  lifecycle:
    preStop:
      exec:
        command: {{ include "holdfast.sidecar.drain" . }}
{{- end }}

{{/* Ends when no client is connected, at the latest when the application may have ended. */}}
{{- define "holdfast.sidecar.drain" -}}
{{- $words := list "node" "--disable-sigusr1" "/holdfast/dist/main.js" "drain" "--wait" (printf "%ds" (add (int .Values.sidecar.delaySeconds) (int .Values.sidecar.applicationGraceSeconds))) -}}
{{- with dig "admin" "bind" "" .Values.config -}}
{{- $words = concat $words (list "--admin" (ternary . (printf "http://%s" .) (hasPrefix "unix:" .))) -}}
{{- end -}}
{{- toJson $words -}}
{{- end }}

{{/* A list, for spec.volumes. */}}
{{- define "holdfast.sidecar.volumes" -}}
- {{ include "holdfast.volume" . | nindent 2 | trim }}
{{- if .Values.sidecar.socketFolder }}
- name: holdfast-socket
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A list, for volumeMounts of the application where sidecar.socketFolder is named. */}}
{{- define "holdfast.sidecar.applicationMounts" -}}
{{- if .Values.sidecar.socketFolder -}}
- { name: holdfast-socket, mountPath: {{ .Values.sidecar.socketFolder | quote }} }
{{- end }}
{{- end }}

{{/* A mapping, for metadata.annotations of the pod template: what needs a restart rolls the pods. */}}
{{- define "holdfast.sidecar.annotations" -}}
{{ include "holdfast.annotations" . }}
{{- end }}

{{/*
A probe's httpGet for the application: through the gateway, because the application itself listens where kubelet cannot reach it.
Kubelet does not verify the certificate.
*/}}
{{- define "holdfast.sidecar.httpGet" -}}
{{- $listener := include "holdfast.probeListener" . | fromJson -}}
httpGet:
  path: {{ .Values.sidecar.probePath | quote }}
  port: {{ (include "holdfast.bind" $listener.bind | fromJson).port }}
  scheme: {{ ternary "HTTPS" "HTTP" (not (empty $listener.tls)) }}
  httpHeaders: [{ name: Host, value: {{ regexReplaceAll "^https?://([^/]+).*$" (first $listener.origins) "${1}" | replace "*." "probe." | quote }} }]
{{- end }}

{{/* A mapping, for lifecycle of the application's container: it serves on until no balancer sends anything any more. */}}
{{- define "holdfast.sidecar.lifecycle" -}}
preStop: { sleep: { seconds: {{ .Values.sidecar.delaySeconds | int }} } }
{{- end }}

{{/* The application's delay and end, and then the gateway's drain: the sidecar is told to end when the application has ended. */}}
{{- define "holdfast.sidecar.terminationGracePeriodSeconds" -}}
{{- add (int .Values.sidecar.delaySeconds) (int .Values.sidecar.applicationGraceSeconds) (include "holdfast.drainSeconds" .) -}}
{{- end }}

{{/* The first listener that kubelet can reach. */}}
{{- define "holdfast.probeListener" -}}
{{- $found := dict -}}
{{- range .Values.config.listeners -}}
{{- $bind := include "holdfast.bind" .bind | fromJson -}}
{{- if and (empty $found) $bind.port (not $bind.loopback) }}{{ $found = . }}{{ end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}
