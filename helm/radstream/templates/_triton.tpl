{{/*
Triton as a sidecar: an init container that stays. It is live before the gateway starts, and is told
to stop only when the gateway has ended.
*/}}
{{- define "radstream.triton" -}}
- name: triton
  image: {{ include "radstream.image" (list .Values.triton.image .Chart) | quote }}
  imagePullPolicy: {{ .Values.triton.image.pullPolicy }}
  restartPolicy: Always
  # Ends the server, and so the container, when the gateway makes the file in the volume of both.
  command: [radstream-triton, tritonserver]
  args:
    - --model-repository={{ include "radstream.modelRepository" . }}
    # Explicit, so that the gateway can load a model anew whose backend has died.
    - --model-control-mode=explicit
    - --load-model=*
    # One broken model must not keep the others from being served.
    - --exit-on-error=false
    - --exit-timeout-secs={{ .Values.triton.exitSeconds }}
    # Nobody but the gateway beside it may ask it; the world sees its metrics.
    - --allow-http=false
    - --grpc-address=127.0.0.1
    - --grpc-port=8001
    - {{ printf "--metrics-address=%s" (ternary "ipv6:::" "0.0.0.0" (eq .Values.ipFamily "IPv6")) | quote }}
    - --metrics-port=8002
    {{- if not .Values.triton.gpu.count }}
    - --pinned-memory-pool-byte-size=0
    - --allow-gpu-metrics=false
    {{- end }}
    {{- $said := .Values.triton.allowClientSharedMemory }}
    {{- if ternary (gt (int .Values.triton.gpu.count) 0) $said (kindIs "invalid" $said) }}
    - --allow-client-shm=true
    {{- end }}
    {{- with .Values.triton.extraArgs }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  env:
    - {name: ORT_DISABLE_TELEMETRY, value: "1"}
    - {name: RADSTREAM_RESTART_FLAG, value: {{ include "radstream.restartFlag" . }}}
    - {name: RADSTREAM_EXIT_SECONDS, value: {{ .Values.triton.exitSeconds | quote }}}
  ports:
    - {name: triton-metrics, containerPort: 8002}
  # Triton opens its ports when the models are loaded, that of its metrics last.
  startupProbe:
    httpGet: {path: /metrics, port: triton-metrics}
    periodSeconds: 2
    timeoutSeconds: 5
    failureThreshold: {{ divf .Values.triton.startSeconds 2 | ceil }}
  # A process that hangs, for a minute long. One that answers while none of its models does, the
  # gateway has ended by its flag: it fails here and nowhere else, and the gateway is never restarted.
  livenessProbe:
    httpGet: {path: /metrics, port: triton-metrics}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 6
  {{- $resources := deepCopy .Values.triton.resources }}
  {{- if .Values.triton.gpu.count }}
  {{- $gpus := dict .Values.triton.gpu.resource .Values.triton.gpu.count }}
  {{- $_ := set $resources "limits" (merge $gpus (default dict $resources.limits)) }}
  {{- end }}
  resources:
    {{- toYaml $resources | nindent 4 }}
  securityContext:
    {{- include "radstream.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - {name: triton-tmp, mountPath: /tmp}
    - {name: shared-memory, mountPath: /dev/shm}
    - {name: restart, mountPath: {{ include "radstream.restartFlag" . | dir }}}
    {{- if include "radstream.modelsInVolume" . }}
    - {name: models, mountPath: /model-repository, readOnly: true}
    {{- end }}
    {{- with .Values.triton.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* What puts the models into their volume, where they are not served from Triton's image. */}}
{{- define "radstream.modelContainers" -}}
{{- if include "radstream.modelsInVolume" . -}}
- name: models
  {{- if eq .Values.triton.models.source "s3" }}
  image: {{ include "radstream.image" (list .Values.gateway.image .Chart) | quote }}
  imagePullPolicy: {{ .Values.gateway.image.pullPolicy }}
  command: [radstream, models, fetch]
  args: [{{ printf "s3://%s/%s%s" .Values.triton.models.s3.bucket .Values.triton.models.s3.prefix .Values.triton.models.s3.digest | quote }}, /model-repository]
  {{- with .Values.gateway.envFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.gateway.env }}
  env:
    {{- include "radstream.env" . | indent 4 }}
  {{- end }}
  {{- else }}
  image: {{ include "radstream.image" (list .Values.triton.image .Chart) | quote }}
  imagePullPolicy: {{ .Values.triton.image.pullPolicy }}
  command: [cp, -R, {{ .Values.triton.models.path }}/., /model-repository]
  {{- end }}
  resources: &models
    requests: {cpu: 100m, memory: 256Mi, ephemeral-storage: 256Mi}
    limits: {memory: 512Mi, ephemeral-storage: {{ .Values.triton.models.sizeLimit }}}
  securityContext: &restricted
    {{- include "radstream.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - {name: models, mountPath: /model-repository}
    - {name: gateway-tmp, mountPath: /tmp}
{{- if .Values.triton.tuning }}
- name: tuning
  image: {{ include "radstream.image" (list .Values.gateway.image .Chart) | quote }}
  imagePullPolicy: {{ .Values.gateway.image.pullPolicy }}
  command: [radstream, models, tune, /model-repository, /etc/radstream/tuning/tuning.json]
  resources: *models
  securityContext: *restricted
  volumeMounts:
    - {name: models, mountPath: /model-repository}
    - {name: gateway-tmp, mountPath: /tmp}
    - {name: tuning, mountPath: /etc/radstream/tuning, readOnly: true}
{{- end }}
{{- end -}}
{{- end -}}
