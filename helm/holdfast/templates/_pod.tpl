{{/* Parts of a pod with a gateway, the same in both modes. */}}

{{- define "holdfast.container" -}}
name: holdfast
image: {{ include "holdfast.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [serve, --config, /etc/holdfast/holdfast.yaml]
{{- with .Values.env }}
env: {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  {{- range include "holdfast.listeners" . | fromJsonArray }}
  - { containerPort: {{ .port }}, protocol: TCP }
  {{- end }}
  - { name: telemetry, containerPort: {{ include "holdfast.telemetryPort" . }}, protocol: TCP }
startupProbe:
  httpGet: { path: /livez, port: telemetry }
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /livez, port: telemetry }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: telemetry }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- with .Values.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts:
  - { name: holdfast, mountPath: /etc/holdfast, readOnly: true }
  {{- if and (eq .Values.mode "sidecar") .Values.sidecar.socketFolder }}
  - { name: holdfast-socket, mountPath: {{ .Values.sidecar.socketFolder | quote }} }
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/*
One volume with everything that the configuration names: kubelet changes it as a whole, so certificate and key never go apart. Readable
for every user of the container, because nothing but the gateway is in it, and whatever user the pod runs as can read it.
*/}}
{{- define "holdfast.volume" -}}
name: holdfast
projected:
  defaultMode: 292 # 0444
  sources:
    - configMap: { name: {{ include "holdfast.fullname" . }} }
    {{- range $name, $tls := .Values.tls }}
    {{- if $tls }}
    - secret:
        name: {{ include "holdfast.tlsSecret" (dict "context" $ "name" $name) }}
        items:
          - { key: tls.crt, path: tls/{{ $name }}/tls.crt }
          - { key: tls.key, path: tls/{{ $name }}/tls.key }
    {{- end }}
    {{- end }}
    {{- range .Values.secrets }}
    - secret:
        name: {{ .name }}
        items:
          {{- range $key, $path := .items }}
          - { key: {{ $key | quote }}, path: {{ $path | quote }} }
          {{- end }}
    {{- end }}
    {{- range .Values.configMaps }}
    - configMap:
        name: {{ .name }}
        items:
          {{- range $key, $path := .items }}
          - { key: {{ $key | quote }}, path: {{ $path | quote }} }
          {{- end }}
    {{- end }}
    {{- if include "holdfast.nonceSecret" . }}
    - secret:
        name: {{ include "holdfast.nonceSecret" . }}
        items:
          {{- range .Values.nonce.keys }}
          - { key: {{ . | quote }}, path: {{ printf "nonce/%s" . | quote }} }
          {{- end }}
    {{- end }}
{{- end }}
