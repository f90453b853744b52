{{/*
The settings as environment variables. Lists and maps are JSON, as the gateway reads them; numbers
go through JSON too, because Helm would write 67108864 as 6.7108864e+07.
*/}}
{{- define "radstream.settings" -}}
RADSTREAM_HTTP__HOST: {{ include "radstream.anyAddress" . | quote }}
RADSTREAM_HTTP__PORT: "8080"
RADSTREAM_TRITON__URL: 127.0.0.1:8001
{{- if .Values.dimse.enabled }}
RADSTREAM_DIMSE__LISTEN: "true"
RADSTREAM_DIMSE__HOST: {{ include "radstream.anyAddress" . | quote }}
RADSTREAM_DIMSE__PORT: "11112"
{{- end }}
{{- if include "radstream.hasRouting" . }}
RADSTREAM_ROUTING__FILE: /etc/radstream/routing/routing.json
{{- end }}
RADSTREAM_TRITON__RESTART_FLAG: {{ include "radstream.restartFlag" . }}
{{- $cpus := include "radstream.gatewayCpus" . | int }}
{{- if kindIs "invalid" (dig "limits" "image_threads" nil .Values.settings) }}
RADSTREAM_LIMITS__IMAGE_THREADS: {{ $cpus | quote }}
{{- end }}
{{- if kindIs "invalid" (dig "admission" "studies" nil .Values.settings) }}
RADSTREAM_ADMISSION__STUDIES: {{ mul 8 $cpus | quote }}
{{- end }}
{{- if and (dig "tenancy" "tenants" nil .Values.settings) (kindIs "invalid" (dig "tenancy" "gateways" nil .Values.settings)) }}
RADSTREAM_TENANCY__GATEWAYS: {{ ternary .Values.replicas .Values.autoscaling.maxReplicas (eq .Values.autoscaling.kind "none") | int | max 1 | quote }}
{{- end }}
{{- if and .Values.ingress.enabled (kindIs "invalid" (dig "http" "keep_alive_s" nil .Values.settings)) }}
RADSTREAM_HTTP__KEEP_ALIVE_S: {{ include "radstream.keepAliveSeconds" . | quote }}
{{- end }}
{{- range $group, $settings := .Values.settings }}
{{- range $name, $value := $settings }}
{{- if not (kindIs "invalid" $value) }}
{{ printf "RADSTREAM_%s__%s" $group $name | upper }}: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* CPUs that the gateway requests, rounded up: without a limit it would count the node's cores. */}}
{{- define "radstream.gatewayCpus" -}}
{{- $cpu := toString .Values.gateway.resources.requests.cpu -}}
{{- ternary (divf (trimSuffix "m" $cpu) 1000) (float64 $cpu) (hasSuffix "m" $cpu) | ceil -}}
{{- end -}}

{{/* A setting that the pod is computed from; takes (list values group name). */}}
{{- define "radstream.needed" -}}
{{- $group := index . 1 -}}{{- $name := index . 2 -}}
{{- $value := dig $group $name nil (index . 0).settings -}}
{{- if kindIs "invalid" $value -}}
{{- fail (printf "settings.%s.%s must have a value: the pod is computed from it" $group $name) -}}
{{- end -}}
{{- $value -}}
{{- end -}}

{{/* Seconds, rounded up, that a pod's end may take: the gateway's steps, then Triton's. */}}
{{- define "radstream.terminationSeconds" -}}
{{- $drain := include "radstream.needed" (list .Values "http" "drain_delay_s") -}}
{{- $grace := include "radstream.needed" (list .Values "http" "grace_period_s") -}}
{{- $telemetry := include "radstream.needed" (list .Values "telemetry" "drain_s") -}}
{{- $associations := ternary $grace 0 .Values.dimse.enabled -}}
{{- addf $drain $grace $associations $telemetry .Values.triton.exitSeconds .Values.shutdownMarginSeconds | ceil -}}
{{- end -}}

{{/* What the gateway speaks: HTTPS with a certificate of its own. */}}
{{- define "radstream.scheme" -}}
{{- if dig "http" "tls_certificate" "" .Values.settings -}}HTTPS{{- else -}}HTTP{{- end -}}
{{- end -}}

{{/* The file by which the gateway has Triton started anew. */}}
{{- define "radstream.restartFlag" -}}
/run/radstream/restart
{{- end -}}

{{/* Seconds that the answer of /readyz may take: it asks each model, and each of its instances. */}}
{{- define "radstream.readinessSeconds" -}}
{{- addf (mulf 2 (dig "triton" "probe_timeout_s" 2 .Values.settings)) 2 | ceil -}}
{{- end -}}

{{/* Seconds that a connection may rest at the load balancer: more than an answer may take. */}}
{{- define "radstream.idleSeconds" -}}
{{- $request := include "radstream.needed" (list .Values "http" "request_timeout_s") | float64 | ceil -}}
{{- $idle := default (addf $request 30) .Values.ingress.idleTimeoutSeconds -}}
{{- if lt (float64 $idle) (float64 $request) -}}
{{- fail (printf "ingress.idleTimeoutSeconds is %v, but settings.http.request_timeout_s lets an answer take %v" $idle $request) -}}
{{- end -}}
{{- $idle -}}
{{- end -}}

{{/* Seconds that the gateway keeps a silent connection: were it fewer than the load balancer's, that
would send a request just when the gateway closes, and answer 502. */}}
{{- define "radstream.keepAliveSeconds" -}}
{{- add (include "radstream.idleSeconds" .) 15 -}}
{{- end -}}

{{/* Seconds in which a pod that leaves may end its answers at the load balancer. */}}
{{- define "radstream.deregistrationSeconds" -}}
{{- $drain := include "radstream.needed" (list .Values "http" "drain_delay_s") -}}
{{- $grace := include "radstream.needed" (list .Values "http" "grace_period_s") -}}
{{- default (addf $drain $grace | ceil) .Values.ingress.deregistrationDelaySeconds -}}
{{- end -}}

{{/* What no schema of one value can say. */}}
{{- define "radstream.check" -}}
{{- $store := default dict .Values.settings.store -}}
{{- $telemetry := default dict .Values.settings.telemetry -}}
{{- $several := or (ne .Values.autoscaling.kind "none") (gt (int .Values.replicas) 1) -}}
{{- if and (eq (default "folder" $store.kind) "s3") (not (and $store.images_bucket $store.results_bucket)) -}}
{{- fail "settings.store.kind s3 needs settings.store.images_bucket and settings.store.results_bucket" -}}
{{- end -}}
{{- if and $several (ne (default "folder" $store.kind) "s3") -}}
{{- fail "settings.store.kind folder is one pod's own: set replicas to 1 and autoscaling.kind to none, or take s3" -}}
{{- end -}}
{{- if and (eq (default "file" $telemetry.kind) "kinesis") (not (and $telemetry.stream_name (dig "telemetry" "study_ref_key" "" .Values.secretSettings))) -}}
{{- fail "settings.telemetry.kind kinesis needs settings.telemetry.stream_name and secretSettings.telemetry.study_ref_key" -}}
{{- end -}}
{{- $console := dig "console" "enabled" false .Values.settings -}}
{{- if and $console (not (dig "console" "session_keys" "" .Values.secretSettings)) -}}
{{- fail "settings.console.enabled needs secretSettings.console.session_keys: all pods read the same sessions" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (has "console" .Values.ingress.expose) (not $console) -}}
{{- fail "ingress.expose has console, so settings.console.enabled must be true" -}}
{{- end -}}
{{- $access := default dict .Values.settings.access -}}
{{- if not (or $access.key_file $access.issuer) -}}
{{- fail "authentication is required: set settings.access.key_file, with secretFiles to mount it, or settings.access.issuer" -}}
{{- end -}}
{{- range list $access.key_file (dig "http" "tls_certificate" "" .Values.settings) -}}
{{- $path := default "" . -}}
{{- if hasPrefix "/etc/radstream/secrets/" $path -}}
{{- $name := index (splitList "/" $path) 4 -}}
{{- $mounted := list -}}
{{- range $.Values.secretFiles }}{{ $mounted = append $mounted .name }}{{ end -}}
{{- if not (has $name $mounted) -}}
{{- fail (printf "%s is in no secret of secretFiles" $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.data.kind "existingClaim" -}}
{{- if $several -}}
{{- fail "data.kind existingClaim serves one pod: set replicas to 1 and autoscaling.kind to none" -}}
{{- end -}}
{{- if not .Values.data.claimName -}}
{{- fail "data.kind existingClaim needs data.claimName" -}}
{{- end -}}
{{- end -}}
{{- if lt (float64 (include "radstream.needed" (list .Values "http" "grace_period_s"))) (float64 (include "radstream.needed" (list .Values "http" "request_timeout_s"))) -}}
{{- fail "settings.http.grace_period_s is shorter than settings.http.request_timeout_s: a pod's end would cut off studies" -}}
{{- end -}}
{{- $keepAlive := dig "http" "keep_alive_s" nil .Values.settings -}}
{{- if and .Values.ingress.enabled $keepAlive -}}
{{- if le (float64 $keepAlive) (float64 (include "radstream.idleSeconds" .)) -}}
{{- fail (printf "settings.http.keep_alive_s is %v, but the load balancer keeps a connection for %s" $keepAlive (include "radstream.idleSeconds" .)) -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.triton.models.source "s3") (not (and .Values.triton.models.s3.bucket .Values.triton.models.s3.digest)) -}}
{{- fail "triton.models.source s3 needs triton.models.s3.bucket and triton.models.s3.digest, which `radstream models publish` prints" -}}
{{- end -}}
{{- if and (ne .Values.data.kind "existingClaim") (ne (default "folder" $store.kind) "s3") -}}
{{- fail "results would end with the pod: set settings.store.kind to s3, or data.kind to existingClaim" -}}
{{- end -}}
{{- if and (ne .Values.data.kind "existingClaim") (ne (dig "audit" "kind" "file" .Values.settings) "s3") -}}
{{- fail "the audit trail would end with the pod: set settings.audit.kind to s3 and settings.audit.bucket, or data.kind to existingClaim" -}}
{{- end -}}
{{- if and (kindIs "invalid" .Values.podDisruptionBudget.maxUnavailable) (kindIs "invalid" .Values.podDisruptionBudget.minAvailable) -}}
{{- fail "podDisruptionBudget needs maxUnavailable or minAvailable" -}}
{{- end -}}
{{- if and .Values.monitoring.rules.enabled (not .Values.monitoring.rules.runbook) -}}
{{- fail "monitoring.rules.runbook is needed where monitoring.rules.enabled is true: the URL at which docs/operate.md can be read" -}}
{{- end -}}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) -}}
{{- fail "autoscaling.minReplicas is above autoscaling.maxReplicas" -}}
{{- end -}}
{{- end -}}
