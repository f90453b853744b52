{{/* What the AWS Load Balancer Controller makes of the Service for DICOM. */}}
{{- define "radstream.dimseAnnotations" -}}
{{- $drain := add (include "radstream.needed" (list .Values "http" "drain_delay_s")) (include "radstream.needed" (list .Values "http" "grace_period_s")) -}}
service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
service.beta.kubernetes.io/aws-load-balancer-scheme: {{ .Values.dimse.scheme }}
# The gateway knows senders by their addresses, and the network policy lets them in by these.
service.beta.kubernetes.io/aws-load-balancer-target-group-attributes: preserve_client_ip.enabled=true,deregistration_delay.timeout_seconds={{ min 3600 $drain }}
# Whether the pod takes studies, which a TCP connection to the listener does not tell.
service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol: {{ include "radstream.scheme" . }}
service.beta.kubernetes.io/aws-load-balancer-healthcheck-port: "8080"
service.beta.kubernetes.io/aws-load-balancer-healthcheck-path: /readyz
service.beta.kubernetes.io/aws-load-balancer-healthcheck-success-codes: "200"
{{- with .Values.dimse.subnets }}
service.beta.kubernetes.io/aws-load-balancer-subnets: {{ join "," . }}
{{- end }}
{{- end -}}

{{/* Says something where the values have a routing document: senders, rules, destinations or limits. */}}
{{- define "radstream.hasRouting" -}}
{{- $routing := .Values.routing -}}
{{- $rules := or $routing.rules (not (kindIs "invalid" $routing.otherwise)) -}}
{{- $limits := or $routing.quotas $routing.stop_rules -}}
{{- $said := or $routing.senders $routing.destinations $rules $limits -}}
{{- if dig "routing" "stored" false .Values.settings -}}
{{- if $said }}{{ fail "settings.routing.stored takes the routing document from the store: leave `routing` empty" }}{{ end -}}
{{- else if or .Values.dimse.enabled $said }}true{{ end -}}
{{- end -}}

{{/* The port of a destination of results. */}}
{{- define "radstream.destinationPort" -}}
{{- if .port -}}
{{ .port }}
{{- else -}}
{{- $url := urlParse .url -}}
{{ regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (eq $url.scheme "https")) }}
{{- end -}}
{{- end -}}
