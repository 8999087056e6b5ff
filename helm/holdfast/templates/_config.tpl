{{/* The configuration of the gateway, and what the chart has to know of it. Answers with structure are JSON. */}}

{{/* Worker threads: the CPU request, rounded up. */}}
{{- define "holdfast.workers" -}}
{{- $cpu := toString (((.Values.resources).requests).cpu | default "1") -}}
{{- $cores := ternary (divf (trimSuffix "m" $cpu | float64) 1000.0) (float64 $cpu) (hasSuffix "m" $cpu) -}}
{{- max 1 (ceil $cores | int) -}}
{{- end }}

{{/* JSON, which is YAML 1.2 and leaves no doubt whether "no" or "1e3" is text: decision 50. */}}
{{- define "holdfast.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if eq (toString ($config.workers | default "auto")) "auto" -}}
{{- $_ := set $config "workers" (include "holdfast.workers" . | int) -}}
{{- end -}}
{{- if and (include "holdfast.nonceSecret" .) (not (hasKey ($config.nonce | default dict) "secret_files")) -}}
{{- $files := list -}}
{{- range .Values.nonce.keys }}{{ $files = append $files (printf "nonce/%s" .) }}{{ end -}}
{{- $_ := set $config "nonce" (merge (dict "secret_files" $files) ($config.nonce | default dict)) -}}
{{- end -}}
{{- toPrettyJson $config -}}
{{- end }}

{{/* `host:port` → { host, port, loopback }, `unix:/path` → { unix }; nothing where it is neither. */}}
{{- define "holdfast.bind" -}}
{{- $bind := toString . -}}
{{- if hasPrefix "unix:/" $bind -}}
{{- dict "unix" true "loopback" true | toJson -}}
{{- else if regexMatch "^(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9._-]+):[0-9]{1,5}$" $bind -}}
{{- $port := regexFind "[0-9]+$" $bind -}}
{{- $host := trimSuffix (printf ":%s" $port) $bind -}}
{{- $loopback := regexMatch "^(localhost|127(\\.[0-9]{1,3}){3}|\\[::1\\])$" $host -}}
{{- dict "host" $host "port" (int $port) "loopback" $loopback | toJson -}}
{{- else -}}
{}
{{- end -}}
{{- end }}

{{/* Listeners that others than this pod can reach: [{ name, port, servicePort, nodePort, portName }]. */}}
{{- define "holdfast.listeners" -}}
{{- $listeners := list -}}
{{- range .Values.config.listeners -}}
{{- $bind := include "holdfast.bind" .bind | fromJson -}}
{{- if and $bind.port (not $bind.loopback) -}}
{{- $https := not (empty .tls) -}}
{{- range .origins }}{{ $https = or $https (hasPrefix "https:" .) }}{{ end -}}
{{- $given := index $.Values.service.ports .name | default dict -}}
{{- $one := dict "name" .name "port" $bind.port "servicePort" (int ($given.port | default (ternary 443 80 $https))) -}}
{{- $_ := set $one "nodePort" (int ($given.nodePort | default 0)) -}}
{{- $_ := set $one "portName" (.name | lower | replace "." "-" | replace "_" "-" | trunc 63 | trimAll "-") -}}
{{- $listeners = append $listeners $one -}}
{{- end -}}
{{- end -}}
{{- toJson $listeners -}}
{{- end }}

{{- define "holdfast.telemetryPort" -}}
{{- (include "holdfast.bind" (dig "telemetry" "bind" "" .Values.config) | fromJson).port | int -}}
{{- end }}

{{/* `250ms`, `5s`, `1m`, `1h` → whole seconds, rounded up. */}}
{{- define "holdfast.seconds" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9]+" $text | float64 -}}
{{- $unit := regexFind "[a-z]+$" $text -}}
{{- mulf $number (get (dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0) $unit) | ceil | int -}}
{{- end }}

{{/* `512Mi`, `1G`, `536870912` → MiB. */}}
{{- define "holdfast.mebibytes" -}}
{{- $text := toString . -}}
{{- $unit := regexFind "[A-Za-z]+$" $text -}}
{{- $units := dict "" 1.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 -}}
{{- divf (mulf (trimSuffix $unit $text | float64) (get $units $unit | default 1.0)) 1048576.0 -}}
{{- end }}

{{/* Seconds that a drain takes at most: drain.delay, drain.grace, and five for the end of the process. */}}
{{- define "holdfast.drainSeconds" -}}
{{- $drain := .Values.config.drain | default dict -}}
{{- add (include "holdfast.seconds" ($drain.delay | default "5s")) (include "holdfast.seconds" ($drain.grace | default "30s")) 5 -}}
{{- end }}

{{/*
Keys that a reload refuses (docs/reload.md#what-needs-a-restart), and where listeners are, which is part of the pod. A change of them rolls the
pods, a change of anything else is taken up by the pods that run.
*/}}
{{- define "holdfast.restartKeys" -}}
{{- $config := include "holdfast.config" . | fromJson -}}
{{- $replay := $config.replay | default dict -}}
{{- $keys := dict "workers" $config.workers "admin" (dig "bind" "" ($config.admin | default dict)) "telemetry" (dig "bind" "" ($config.telemetry | default dict)) -}}
{{- $_ := set $keys "replay" (pick $replay "store" "capacity") -}}
{{- $listeners := dict -}}
{{- range $config.listeners }}{{ $_ := set $listeners (toString .name) (pick . "bind" "proxy_protocol") }}{{ end -}}
{{- set $keys "listeners" $listeners | toJson -}}
{{- end }}

{{- define "holdfast.annotations" -}}
holdfast/restart-keys: {{ include "holdfast.restartKeys" . | sha256sum | quote }}
holdfast/store: {{ ternary "memory" "redis" (not (empty (include "holdfast.memory" .))) }}
{{- end }}

{{/* Whether proofs are remembered by each process alone. */}}
{{- define "holdfast.memory" -}}
{{- if ne (dig "store" "memory" (.Values.config.replay | default dict)) "redis" }}true{{ end -}}
{{- end }}

{{/* Names of files in the configuration, one a line. The context is a mapping. */}}
{{- define "holdfast.namedFiles" -}}
{{- range $key, $value := . -}}
{{- if has $key (list "claims" "identity") -}}
{{- else if kindIs "map" $value -}}
{{- include "holdfast.namedFiles" $value -}}
{{- else if kindIs "slice" $value -}}
{{- range $value -}}
{{- if kindIs "map" . }}{{ include "holdfast.namedFiles" . }}{{ else if eq $key "secret_files" }}{{ printf "%s\n" . }}{{ end -}}
{{- end -}}
{{- else if or (eq $key "cert") (hasSuffix "_file" $key) -}}
{{- printf "%s\n" (toString $value) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Files that the pod has next to the configuration, one a line. */}}
{{- define "holdfast.presentFiles" -}}
{{- range $name, $_ := .Values.files }}{{ printf "%s\n" $name }}{{ end -}}
{{- range $name, $tls := .Values.tls }}{{ if $tls }}{{ printf "tls/%s/tls.crt\ntls/%s/tls.key\n" $name $name }}{{ end }}{{ end -}}
{{- range concat .Values.secrets .Values.configMaps }}{{ range .items }}{{ printf "%s\n" . }}{{ end }}{{ end -}}
{{- if include "holdfast.nonceSecret" . }}{{ range .Values.nonce.keys }}{{ printf "nonce/%s\n" . }}{{ end }}{{ end -}}
{{- end }}

{{/* The content of the ConfigMap. */}}
{{- define "holdfast.data" -}}
holdfast.yaml: |
  {{- include "holdfast.config" . | nindent 2 }}
{{- range $name, $text := .Values.files }}
{{ $name | quote }}: {{ $text | toJson }}
{{- end }}
{{- end }}
