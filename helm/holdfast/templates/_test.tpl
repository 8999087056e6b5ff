{{/* What helm test asks: [{ name, service, port, tls, host, path, expects }] as JSON, one for each listener that others can reach. */}}
{{- define "holdfast.testTargets" -}}
{{- $guarded := "" -}}
{{- range .Values.config.routes -}}
{{- $path := dig "match" "path" "" . -}}
{{- $plain := and (not (dig "match" "host" "" .)) (not (dig "match" "methods" "" .)) (not (dig "match" "headers" "" .)) (not (dig "match" "query" "" .)) -}}
{{- if and (empty $guarded) $path $plain (ne (toString .require) "public") }}{{ $guarded = $path | replace "/*" "/helm-test" }}{{ end -}}
{{- end -}}
{{- $targets := list -}}
{{- $listeners := include "holdfast.listeners" . | fromJsonArray -}}
{{- range .Values.config.listeners -}}
{{- $name := .name -}}
{{- $one := . -}}
{{- range $listeners -}}
{{- if eq .name $name -}}
{{- $origin := first $one.origins | default "" -}}
{{- $host := regexReplaceAll "^https?://([^/]+).*$" $origin "${1}" | replace "**." "test." | replace "*." "test." -}}
{{- $expects := ternary "refusal" "answer" (not (empty $guarded)) -}}
{{- if eq (toString (dig "client_certificate" "request" "" $one)) "required" }}{{ $expects = "certificate" }}{{ end -}}
{{- if eq (toString $one.proxy_protocol) "required" }}{{ $expects = "proxy" }}{{ end -}}
{{- $targets = append $targets (dict "name" $name "service" (include "holdfast.fullname" $) "port" .servicePort "tls" (not (empty $one.tls)) "host" $host "path" ($guarded | default "/") "expects" $expects) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $targets -}}
{{- end }}
