{{/* What cannot be right, all at once, each with what to do. What the values alone cannot tell, `holdfast check` finds. */}}

{{- define "holdfast.refuse" -}}
{{- $problems := concat
  (include "holdfast.missing" . | fromJsonArray)
  (include "holdfast.badListeners" . | fromJsonArray)
  (include "holdfast.badPorts" . | fromJsonArray)
  (include "holdfast.badScale" . | fromJsonArray)
  (include "holdfast.badMemory" . | fromJsonArray)
  (include "holdfast.badUpstreams" . | fromJsonArray)
  (include "holdfast.badFiles" . | fromJsonArray)
  (include "holdfast.badTrust" . | fromJsonArray)
  (include "holdfast.badSidecar" . | fromJsonArray) -}}
{{- if $problems -}}
{{- fail (printf "\n\nThe values cannot be right:\n- %s\n" (join "\n- " $problems)) -}}
{{- end -}}
{{- end }}

{{- define "holdfast.missing" -}}
{{- $problems := list -}}
{{- if not .Values.config.listeners -}}
{{- $problems = append $problems "config.listeners is missing: say where clients connect, with bind, origins and tls" -}}
{{- end -}}
{{- $forwards := false -}}
{{- range .Values.config.listeners }}{{ if ne (toString .mode) "decide" }}{{ $forwards = true }}{{ end }}{{ end -}}
{{- range $key := list "issuers" "upstreams" "routes" -}}
{{- if not (or (index $.Values.config $key) $.Values.config.include (and (eq $key "upstreams") $.Values.config.listeners (not $forwards))) -}}
{{- $problems = append $problems (printf "config.%s is missing: add it, or name files that have it in config.include" $key) -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end }}

{{- define "holdfast.badListeners" -}}
{{- $problems := list -}}
{{- range $key, $value := .Values.config.drain -}}
{{- if contains "${" (toString $value) -}}
{{- $problems = append $problems (printf "config.drain.%s must be written out: terminationGracePeriodSeconds is counted from it" $key) -}}
{{- end -}}
{{- end -}}
{{- range $index, $listener := .Values.config.listeners -}}
{{- $at := printf "config.listeners[%d]" $index -}}
{{- $bind := include "holdfast.bind" .bind | fromJson -}}
{{- if empty $bind -}}
{{- $problems = append $problems (printf "%s.bind must be written out, as host:port or unix:/path: the chart opens this port" $at) -}}
{{- else if not $bind.loopback -}}
{{- if not .origins -}}
{{- $problems = append $problems (printf "%s.origins is missing: list the URLs by which clients call it, such as https://api.example.com; proofs are held against them" $at) -}}
{{- end -}}
{{- if not (or .tls .insecure_plain_http) -}}
{{- $problems = append $problems (printf "%s is plain HTTP, where tokens can be read and stolen: add tls.certificates, or insecure_plain_http: true if that is meant" $at) -}}
{{- end -}}
{{- if lt (int $bind.port) 1024 -}}
{{- $problems = append $problems (printf "%s.bind has port %d, which the container may not open: bind 8443, and set service.ports.%s.port to %d" $at (int $bind.port) .name (int $bind.port)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end }}

{{- define "holdfast.badPorts" -}}
{{- $problems := list -}}
{{- $config := .Values.config -}}
{{- $listeners := include "holdfast.listeners" . | fromJsonArray -}}
{{- if and $config.listeners (empty $listeners) -}}
{{- $problems = append $problems "config.listeners has none that can be reached from outside the pod: bind one to 0.0.0.0:8443" -}}
{{- end -}}
{{- $names := list -}}{{- $ports := list -}}{{- $binds := list -}}
{{- range $listeners -}}
{{- if and (eq $.Values.mode "edge") (has .servicePort $ports) -}}
{{- $problems = append $problems (printf "listener %s has port %d of the Service, which another one has: set service.ports.%s.port" .name (int .servicePort) .name) -}}
{{- end -}}
{{- if has .portName $names -}}
{{- $problems = append $problems (printf "listener %s has the port name %s, which another one has: rename it" .name .portName) -}}
{{- end -}}
{{- $names = append $names .portName -}}{{- $ports = append $ports .servicePort -}}{{- $binds = append $binds .name -}}
{{- end -}}
{{- range $name, $_ := .Values.service.ports -}}
{{- if not (has $name $binds) -}}
{{- $problems = append $problems (printf "service.ports.%s is not a listener that can be reached: use the name of one in config.listeners" $name) -}}
{{- end -}}
{{- end -}}
{{- $telemetry := include "holdfast.bind" (dig "telemetry" "bind" "" $config) | fromJson -}}
{{- if or (empty $telemetry) $telemetry.loopback -}}
{{- $problems = append $problems "config.telemetry.bind is out of reach of the probes: leave it out, or bind 0.0.0.0:9902" -}}
{{- end -}}
{{- with dig "admin" "bind" "" $config -}}
{{- if not (include "holdfast.bind" . | fromJson).loopback -}}
{{- $problems = append $problems "config.admin.bind shows the configuration to everybody who reaches it: leave it out, and use kubectl port-forward to 9901" -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end }}

{{- define "holdfast.badScale" -}}
{{- $problems := list -}}
{{- if include "holdfast.memory" . -}}
{{- if and .Values.autoscaling.enabled (eq .Values.mode "edge") -}}
{{- $problems = append $problems "autoscaling.enabled makes several pods, and with config.replay.store: memory a proof that one of them has seen is new to the next: set config.replay.store: redis and config.replay.redis, or autoscaling.enabled: false" -}}
{{- else if gt (int .Values.replicas) 1 -}}
{{- $problems = append $problems (printf "replicas is %d, and with config.replay.store: memory a proof that one of them has seen is new to the next: set config.replay.store: redis and config.replay.redis, or replicas: 1" (int .Values.replicas)) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.monitoring.rules.enabled (not .Values.monitoring.serviceMonitor.enabled) -}}
{{- $problems = append $problems "monitoring.rules would watch metrics that are not collected: set monitoring.serviceMonitor.enabled: true as well" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- $problems = append $problems "autoscaling.minReplicas is more than maxReplicas: exchange them" -}}
{{- end -}}
{{- toJson $problems -}}
{{- end }}

{{/* The same figures as in src/config/compile/memory.ts, and for proofs as many as `capacity: auto` is with the defaults. */}}
{{- define "holdfast.badMemory" -}}
{{- $problems := list -}}
{{- $limit := toString (dig "limits" "memory" "" .Values.resources) -}}
{{- if $limit -}}
{{- $config := include "holdfast.config" . | fromJson -}}
{{- $workers := int $config.workers -}}
{{- $capacity := toString (dig "capacity" "auto" ($config.replay | default dict)) -}}
{{- $proofs := mulf 20.0 $workers -}}
{{- if ne $capacity "auto" }}{{ $proofs = divf (mulf 24.0 (float64 $capacity)) 1048576.0 }}{{ end -}}
{{- $parts := add (len ($config.routes | default list)) (len ($config.upstreams | default dict)) -}}
{{- $needed := addf 96.0 (mulf 64.0 $workers) $proofs (divf (mulf (addf 12.0 (mulf 10.0 $workers)) $parts) 1024.0) -}}
{{- range $config.listeners -}}
{{- $connections := toString (dig "limits" "connections" "auto" .) -}}
{{- $each := ternary 100.0 (float64 $connections) (eq $connections "auto") -}}
{{- $needed = addf $needed (divf (mulf $each $workers 80.0) 1024.0) -}}
{{- end -}}
{{- if gt $needed (include "holdfast.mebibytes" $limit | float64) -}}
{{- $problems = append $problems (printf "resources.limits.memory is %s, and %d workers with config.replay.capacity proofs and limits.connections of all listeners can take %.0f MiB: raise it to %.0fMi, or leave limits.connections out, which fits them to the memory" $limit $workers (ceil $needed) (ceil $needed)) -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end }}

{{- define "holdfast.badUpstreams" -}}
{{- $problems := list -}}
{{- range $name, $upstream := .Values.config.upstreams -}}
{{- range $target := .targets -}}
{{- $here := regexMatch "^(unix:|https?://(localhost|127(\\.[0-9]{1,3}){3}|\\[::1\\])(:|$))" $target -}}
{{- if and (not $here) (eq $.Values.mode "sidecar") -}}
{{- $problems = append $problems (printf "config.upstreams.%s.targets has %s, which others than this pod can reach, past the gateway: let the application listen on 127.0.0.1 or a unix socket, and name that" $name $target) -}}
{{- else if and (not $here) (hasPrefix "http://" $target) (not $upstream.insecure_plain_http) -}}
{{- $problems = append $problems (printf "config.upstreams.%s.targets has %s, which is plain HTTP: use https, or insecure_plain_http: true if the network between is trusted" $name $target) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end }}

{{- define "holdfast.badFiles" -}}
{{- $problems := list -}}
{{- $present := include "holdfast.presentFiles" . | splitList "\n" -}}
{{- range include "holdfast.namedFiles" (include "holdfast.config" . | fromJson) | splitList "\n" | uniq | compact -}}
{{- $file := trimPrefix "/etc/holdfast/" . | trimPrefix "./" -}}
{{- if not (or (hasPrefix "/" $file) (contains "${" $file) (has $file $present)) -}}
{{- $problems = append $problems (printf "config names the file %s, which the pod does not have: add it to tls, secrets or configMaps" .) -}}
{{- end -}}
{{- end -}}
{{- range $name, $tls := .Values.tls -}}
{{- if and (not (kindIs "invalid" $tls)) (empty $tls.secretName) (empty $tls.certManager) -}}
{{- $problems = append $problems (printf "tls.%s needs secretName, or certManager to have one made" $name) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraVolumeMounts -}}
{{- if or .subPath .subPathExpr -}}
{{- $problems = append $problems (printf "extraVolumeMounts %s has a subPath, and such a file is never updated: mount the whole volume" .name) -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end }}

{{/* A certificate that only a field states is as good as the proof that only the balancer can send the field. */}}
{{- define "holdfast.badTrust" -}}
{{- $problems := list -}}
{{- range $index, $listener := .Values.config.listeners -}}
{{- if not (has (toString (.client_certificate_from | default "none")) (list "none" "false")) -}}
{{- range $peer := .trusted_peers -}}
{{- if and (not $peer.certificate_san) (not (include "holdfast.bind" $listener.bind | fromJson).loopback) (or (not $.Values.networkPolicy.enabled) (empty $.Values.networkPolicy.clients)) -}}
{{- $problems = append $problems (printf "config.listeners[%d] believes certificates that %s states, and any pod with such an address could forge them: name the balancer alone in networkPolicy.clients, or have it show a certificate, with certificate_san in trusted_peers" $index $peer.cidr) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end }}

{{- define "holdfast.badSidecar" -}}
{{- $problems := list -}}
{{- if eq .Values.mode "sidecar" -}}
{{- if and (empty .Values.sidecar.podLabels) (or .Values.networkPolicy.enabled .Values.monitoring.serviceMonitor.enabled) -}}
{{- $problems = append $problems "sidecar.podLabels is missing: give labels of the application's pods, by which NetworkPolicy and monitoring find them, or switch both off" -}}
{{- end -}}
{{- if and .Values.admissionPolicy.enabled (include "holdfast.memory" .) (empty .Values.admissionPolicy.deployments) -}}
{{- $problems = append $problems "admissionPolicy.deployments is missing: name the Deployments whose pods have the gateway" -}}
{{- end -}}
{{- if .Values.sidecar.probePath -}}
{{- $problems = concat $problems (include "holdfast.badProbe" . | fromJsonArray) -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end }}

{{- define "holdfast.badProbe" -}}
{{- $problems := list -}}
{{- $path := .Values.sidecar.probePath -}}
{{- $public := dict -}}
{{- range .Values.config.routes -}}
{{- if and (eq (toString .require) "public") (eq (dig "match" "path" "" .) $path) }}{{ $public = . }}{{ end -}}
{{- end -}}
{{- if empty $public -}}
{{- $problems = append $problems (printf "sidecar.probePath %s is not a public route, and probes have no token: add a route with match.path: %s, require: public and weaker_than_defaults: [require]" $path $path) -}}
{{- end -}}
{{- $listener := include "holdfast.probeListener" . | fromJson -}}
{{- if eq (dig "client_certificate" "request" "" $listener) "required" -}}
{{- $problems = append $problems (printf "listener %s requires a certificate, and probes have none: use client_certificate.request: optional with require: mtls on the routes, or no sidecar.probePath" $listener.name) -}}
{{- end -}}
{{- if eq (toString $listener.proxy_protocol) "required" -}}
{{- $problems = append $problems (printf "listener %s requires a PROXY header, and probes send none: put a listener for probes before it, or no sidecar.probePath" $listener.name) -}}
{{- end -}}
{{- toJson $problems -}}
{{- end }}
