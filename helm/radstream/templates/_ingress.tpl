{{/* What the AWS Load Balancer Controller makes of the Ingress. */}}
{{- define "radstream.ingressAnnotations" -}}
{{- $attributes := list (printf "idle_timeout.timeout_seconds=%s" (include "radstream.idleSeconds" .))
      "routing.http.drop_invalid_header_fields.enabled=true"
      (printf "deletion_protection.enabled=%t" .Values.ingress.deletionProtection) -}}
{{- with .Values.ingress.accessLogs -}}
{{- if .bucket -}}
{{- $attributes = concat $attributes (list "access_logs.s3.enabled=true" (printf "access_logs.s3.bucket=%s" .bucket) (printf "access_logs.s3.prefix=%s" .prefix)) -}}
{{- end -}}
{{- end -}}
alb.ingress.kubernetes.io/scheme: {{ .Values.ingress.scheme }}
# Straight to the pods: no second hop, and a pod leaves the list by itself.
alb.ingress.kubernetes.io/target-type: ip
alb.ingress.kubernetes.io/backend-protocol: {{ include "radstream.scheme" . }}
alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 80}, {"HTTPS": 443}]'
alb.ingress.kubernetes.io/ssl-redirect: '443'
alb.ingress.kubernetes.io/ssl-policy: {{ .Values.ingress.sslPolicy }}
alb.ingress.kubernetes.io/certificate-arn: {{ join "," .Values.ingress.certificateArns }}
{{- with .Values.ingress.webAclArn }}
alb.ingress.kubernetes.io/wafv2-acl-arn: {{ . }}
{{- end }}
alb.ingress.kubernetes.io/healthcheck-path: /readyz
alb.ingress.kubernetes.io/success-codes: '200'
# As patient as the pod's own readiness probe; the interval must be the longer of the two, and a
# load balancer takes none under 5 s.
alb.ingress.kubernetes.io/healthcheck-timeout-seconds: {{ include "radstream.readinessSeconds" . | quote }}
alb.ingress.kubernetes.io/healthcheck-interval-seconds: {{ max 5 (add1 (include "radstream.readinessSeconds" .)) | quote }}
alb.ingress.kubernetes.io/healthy-threshold-count: '2'
alb.ingress.kubernetes.io/unhealthy-threshold-count: '2'
alb.ingress.kubernetes.io/target-group-attributes: deregistration_delay.timeout_seconds={{ include "radstream.deregistrationSeconds" . }},load_balancing.algorithm.type=least_outstanding_requests
alb.ingress.kubernetes.io/load-balancer-attributes: {{ join "," $attributes }}
{{- with .Values.ingress.inboundCidrs }}
alb.ingress.kubernetes.io/inbound-cidrs: {{ join "," . }}
{{- end }}
{{- with .Values.ingress.subnets }}
alb.ingress.kubernetes.io/subnets: {{ join "," . }}
{{- end }}
{{- with .Values.ingress.groupName }}
alb.ingress.kubernetes.io/group.name: {{ . }}
{{- end }}
{{- end -}}
