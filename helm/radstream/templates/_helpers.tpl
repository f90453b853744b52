{{- define "radstream.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "radstream.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "radstream.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "radstream.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What a Deployment selects by: never a version, since selectors cannot change. */}}
{{- define "radstream.selectorLabels" -}}
app.kubernetes.io/name: {{ include "radstream.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/*
Labels or annotations of ours and of the values in one map, each name once; the values win. Takes
(list ours values), ours as YAML.
*/}}
{{- define "radstream.together" -}}
{{- merge (dict) (default dict (index . 1)) (index . 0 | fromYaml) | toYaml -}}
{{- end -}}

{{/* Variables of the libraries beneath: a value, or where it is to be had. */}}
{{- define "radstream.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  {{- if kindIs "string" $value }}
  value: {{ $value | quote }}
  {{- else }}
  {{- toYaml $value | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The address of all of the pod's own, in the family that it has. */}}
{{- define "radstream.anyAddress" -}}
{{- ternary "::" "0.0.0.0" (eq .Values.ipFamily "IPv6") -}}
{{- end -}}

{{- define "radstream.labels" -}}
{{ include "radstream.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- range $name, $value := omit .Values.commonLabels "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart" }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "radstream.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "radstream.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed where serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* An image's reference; takes (list image chart). */}}
{{- define "radstream.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default (index . 1).AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{/* Of both containers and of what runs before them: the restricted Pod Security Standard. */}}
{{- define "radstream.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* Whether the models stand in a volume rather than in Triton's image. */}}
{{- define "radstream.modelsInVolume" -}}
{{- if or (eq .Values.triton.models.source "s3") .Values.triton.tuning -}}true{{- end -}}
{{- end -}}

{{- define "radstream.modelRepository" -}}
{{- if include "radstream.modelsInVolume" . -}}/model-repository{{- else -}}{{ .Values.triton.models.path }}{{- end -}}
{{- end -}}
