{{/* The gateway's container. */}}
{{- define "radstream.gateway" -}}
- name: gateway
  image: {{ include "radstream.image" (list .Values.gateway.image .Chart) | quote }}
  imagePullPolicy: {{ .Values.gateway.image.pullPolicy }}
  command: [radstream, serve]
  # Folders of the settings are relative to it, so that all of them lie in one volume.
  workingDir: /var/lib/radstream
  envFrom:
    - configMapRef: {name: {{ include "radstream.fullname" . }}}
    {{- with .Values.gateway.envFrom }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if or .Values.secretSettings .Values.gateway.env }}
  env:
    {{- range $group, $settings := .Values.secretSettings }}
    {{- range $name, $from := $settings }}
    - name: {{ printf "RADSTREAM_%s__%s" $group $name | upper }}
      valueFrom: {secretKeyRef: {name: {{ $from.secretName }}, key: {{ $from.key }}}}
    {{- end }}
    {{- end }}
    {{- include "radstream.env" .Values.gateway.env | indent 4 }}
  {{- end }}
  ports:
    - {name: http, containerPort: 8080}
    {{- if .Values.dimse.enabled }}
    - {name: dicom, containerPort: 11112}
    {{- end }}
  # Up as soon as it answers; whether Triton is, readiness asks.
  startupProbe:
    httpGet: {path: /livez, port: http, scheme: {{ include "radstream.scheme" . }}}
    periodSeconds: 2
    timeoutSeconds: 2
    failureThreshold: 60
  # 503 when a part has died that only a restart brings back; Triton's trouble is no reason for one.
  livenessProbe:
    httpGet: {path: /livez, port: http, scheme: {{ include "radstream.scheme" . }}}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 3
  # Asks each model, so it takes as long as a model may take to say so.
  readinessProbe:
    httpGet: {path: /readyz, port: http, scheme: {{ include "radstream.scheme" . }}}
    periodSeconds: 5
    timeoutSeconds: {{ include "radstream.readinessSeconds" . }}
    failureThreshold: 2
  {{- with .Values.gateway.lifecycle }}
  lifecycle:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  resources:
    {{- toYaml .Values.gateway.resources | nindent 4 }}
  securityContext:
    {{- include "radstream.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - {name: gateway-tmp, mountPath: /tmp}
    - {name: data, mountPath: /var/lib/radstream}
    - {name: shared-memory, mountPath: /dev/shm}
    - {name: restart, mountPath: {{ include "radstream.restartFlag" . | dir }}}
    {{- if include "radstream.hasRouting" . }}
    - {name: routing, mountPath: /etc/radstream/routing, readOnly: true}
    {{- end }}
    {{- range .Values.secretFiles }}
    - {name: secret-{{ .name }}, mountPath: /etc/radstream/secrets/{{ .name }}, readOnly: true}
    {{- end }}
    {{- with .Values.gateway.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
